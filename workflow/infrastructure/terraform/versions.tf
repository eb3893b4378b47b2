terraform {
  # 1.5 brought `check` blocks. OpenTofu's numbering starts at 1.6, so one constraint serves both.
  required_version = ">= 1.5.0"

  required_providers {
    libvirt = {
      source  = "dmacvicar/libvirt"
      version = "0.8.3"
    }
  }
}

provider "libvirt" {
  uri = var.libvirt_uri
}
