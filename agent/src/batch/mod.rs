//! Events into request bodies that keep every rule of the service.
