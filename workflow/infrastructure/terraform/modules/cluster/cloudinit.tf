resource "libvirt_cloudinit_disk" "seed" {
  for_each = local.nodes

  name = "${each.key}-seed.iso"
  pool = libvirt_pool.cluster.name

  user_data = templatefile("${path.module}/templates/user-data.yaml.tftpl", {
    name           = each.key
    fqdn           = each.value.fqdn
    hosts          = local.hosts
    ssh_public_key = var.ssh_public_key
    grow           = var.disk_size != null
  })

  # With a new identity cloud-init treats the boot as the first one. A restored guest keeps its own.
  meta_data = yamlencode({
    instance-id    = "${each.value.domain}-${var.run}"
    local-hostname = each.key
  })

  # Addresses come from DHCP by MAC. Without `mac` as the identifier, guests with the same
  # machine-id would ask for the same address.
  network_config = yamlencode({
    version = 2
    ethernets = {
      lan = {
        match           = { macaddress = each.value.mac }
        dhcp4           = true
        dhcp6           = false
        dhcp-identifier = "mac"
        optional        = false
      }
    }
  })
}
