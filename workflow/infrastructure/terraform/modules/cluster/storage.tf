resource "libvirt_pool" "cluster" {
  name = local.prefix
  type = "dir"

  target {
    path = var.pool_directory
  }
}

resource "libvirt_volume" "disk" {
  for_each = local.nodes

  name   = "${each.key}.qcow2"
  pool   = libvirt_pool.cluster.name
  format = "qcow2"
  size   = var.disk_size

  # The provider takes a backing file only from a pool. That would need a copy of the image, or a
  # pool of the image's directory, of which libvirt allows only one at a time. libvirt itself
  # accepts any path.
  xml {
    xslt = templatefile("${path.module}/templates/volume.xslt.tftpl", {
      base_image = replace(replace(replace(var.base_image, "&", "&amp;"), "<", "&lt;"), ">", "&gt;")
      sized      = var.disk_size != null
    })
  }

  lifecycle {
    precondition {
      condition     = fileexists(var.base_image)
      error_message = "The base image ${var.base_image} does not exist."
    }
  }
}
