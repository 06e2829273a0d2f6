"""A small web application: what a host of this image serves."""
