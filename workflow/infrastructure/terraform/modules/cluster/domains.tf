resource "libvirt_domain" "node" {
  for_each = local.nodes

  name    = each.value.domain
  type    = local.domain_type
  machine = local.machine
  arch    = "x86_64"
  vcpu    = each.value.vcpus
  memory  = each.value.memory_mib
  running = true

  cpu {
    mode = local.cpu_mode
  }

  # Both are plain disks. The provider would attach a `cloudinit` seed as an IDE or SATA CD, which
  # the cloud kernels of some distributions cannot read.
  disk {
    volume_id = libvirt_volume.disk[each.key].id
  }

  disk {
    volume_id = local.seed_paths[each.key]
  }

  network_interface {
    network_id     = libvirt_network.cluster.id
    hostname       = each.key
    mac            = upper(each.value.mac)
    addresses      = [each.value.address]
    wait_for_lease = var.wait_for_lease
  }

  xml {
    xslt = templatefile("${path.module}/templates/domain.xslt.tftpl", {
      checkout    = var.checkout
      run         = var.run
      cluster     = var.cluster
      node        = each.key
      vcpus       = each.value.vcpus
      vcpu_pins   = each.value.vcpu_pins
      emulator    = each.value.emulator_pins
      numa        = each.value.numa_nodes
      hugepages   = each.value.hugepages
      pci         = [for address in each.value.pci : regex("^(?P<domain>[^:]+):(?P<bus>[^:]+):(?P<slot>[^.]+)\\.(?P<function>.)$", address)]
      disk_cache  = var.disk_cache
      disk_path   = replace(replace(replace(libvirt_volume.disk[each.key].id, "&", "&amp;"), "<", "&lt;"), ">", "&gt;")
      seed_path   = replace(replace(replace(local.seed_paths[each.key], "&", "&amp;"), "<", "&lt;"), ">", "&gt;")
      console_log = replace(replace(replace(each.value.console, "&", "&amp;"), "<", "&lt;"), ">", "&gt;")
    })
  }

  timeouts {
    create = "${var.boot_timeout}s"
  }
}

locals {
  # The provider's id of a seed is "path;uuid".
  seed_paths = { for name, seed in libvirt_cloudinit_disk.seed : name => split(";", seed.id)[0] }
}

check "addresses" {
  assert {
    condition = !var.wait_for_lease || alltrue([
      for name, domain in libvirt_domain.node :
      contains(try(domain.network_interface[0].addresses, []), local.nodes[name].address)
    ])
    error_message = "A guest got another address than the one declared for it."
  }
}
