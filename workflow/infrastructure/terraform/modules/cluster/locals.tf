locals {
  # Every name carries the checkout and the cluster, so that nothing meets a user's own objects.
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

  # Names in /etc/hosts of every guest: a missing one can stall a controller for seconds.
  hosts = [
    for name in sort(keys(local.nodes)) :
    { address = local.nodes[name].address, fqdn = local.nodes[name].fqdn, name = name }
  ]
}
