locals {
  # Every name contains the checkout and the cluster, so that none equals a name of a user's own.
  prefix = "schedlab-${var.checkout}-${var.cluster}"

  nodes = {
    for name, node in var.nodes : name => merge(node, {
      domain  = "${local.prefix}-${name}"
      fqdn    = "${name}.${var.network.domain}"
      console = "${var.console_directory}/${name}.log"
    })
  }

  domain_type = var.accelerator == "kvm" ? "kvm" : "qemu"
  cpu_mode    = var.accelerator == "kvm" ? "host-passthrough" : "maximum"
  machine     = "q35"

  # Names for /etc/hosts of every guest. A missing name can delay a controller by seconds.
  hosts = [
    for name in sort(keys(local.nodes)) :
    { address = local.nodes[name].address, fqdn = local.nodes[name].fqdn, name = name }
  ]
}
