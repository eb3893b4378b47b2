resource "libvirt_network" "cluster" {
  name      = local.prefix
  mode      = "nat"
  domain    = var.network.domain
  addresses = [var.network.cidr]
  autostart = false

  dhcp {
    enabled = true
  }

  dns {
    enabled    = true
    local_only = true

    dynamic "hosts" {
      for_each = { for host in local.hosts : host.name => host }
      content {
        ip       = hosts.value.address
        hostname = hosts.value.name
      }
    }
  }

  # Guests resolve only each other's names. If the host's name servers were asked, a trial would
  # depend on them, and an unreachable one costs seconds per query.
  dnsmasq_options {
    options {
      option_name = "no-resolv"
    }
  }

  lifecycle {
    precondition {
      condition = alltrue([
        for node in values(var.nodes) : try(
          cidrhost("${node.address}/${split("/", var.network.cidr)[1]}", 0) == cidrhost(var.network.cidr, 0),
          false
        )
      ])
      error_message = "A node's address is not an IPv4 address inside ${var.network.cidr}."
    }

    precondition {
      condition = alltrue([
        for node in values(var.nodes) : !contains(
          [cidrhost(var.network.cidr, 0), cidrhost(var.network.cidr, 1), cidrhost(var.network.cidr, -1)],
          node.address
        )
      ])
      error_message = "A node may not have the first address (the gateway), the network or the broadcast address of ${var.network.cidr}."
    }
  }
}
