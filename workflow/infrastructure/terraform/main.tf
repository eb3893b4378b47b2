module "cluster" {
  source = "./modules/cluster"

  checkout          = var.checkout
  run               = var.run
  cluster           = var.cluster
  accelerator       = var.accelerator
  nodes             = var.nodes
  network           = var.network
  pool_directory    = var.pool_directory
  console_directory = var.console_directory
  base_image        = var.base_image
  disk_size         = var.disk_size
  disk_cache        = var.disk_cache
  ssh_public_key    = var.ssh_public_key
  wait_for_lease    = var.wait_for_lease
  boot_timeout      = var.boot_timeout
}
