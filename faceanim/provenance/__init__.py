"""What says of a result that it is synthetic: its metadata, a C2PA manifest, and a watermark."""
