"""Disks: base disks made natively, cloud images, scheduler images by Packer, the accelerator."""
