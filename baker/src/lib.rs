//! `baker` turns a recipe into an AMI: launch, provision over SSH, seal, image, clean up.
