"""Base disks, cloud images, images of schedulers, and the probe of the accelerator."""
