output "inventory" {
  description = "The cluster as Ansible needs it: group variables and one object per host."
  value = {
    cluster = var.cluster
    user    = "bench"
    domain  = var.network.domain
    hosts = {
      for name, node in local.nodes : name => {
        name       = name
        role       = node.role
        address    = node.address
        fqdn       = node.fqdn
        mac        = node.mac
        vcpus      = node.vcpus
        memory_mib = node.memory_mib
        domain     = libvirt_domain.node[name].name
      }
    }
  }
}

output "network" {
  description = "The network: name, bridge, cidr, gateway, domain."
  value = {
    name    = libvirt_network.cluster.name
    bridge  = libvirt_network.cluster.bridge
    cidr    = var.network.cidr
    gateway = cidrhost(var.network.cidr, 1)
    domain  = var.network.domain
  }
}

output "volumes" {
  description = "Per node: paths of the disk and of the cloud-init seed."
  value = {
    for name in keys(local.nodes) : name => {
      disk = libvirt_volume.disk[name].id
      seed = local.seed_paths[name]
    }
  }
}

output "domains" {
  description = "Per node: libvirt's name and UUID of the domain, and the path of its console log."
  value = {
    for name, node in local.nodes : name => {
      name    = libvirt_domain.node[name].name
      uuid    = libvirt_domain.node[name].id
      console = node.console
    }
  }
}

output "declared" {
  description = "What was asked for, per node, for the comparison with the live domains."
  value = {
    for name, node in local.nodes : name => {
      domain        = node.domain
      domain_type   = local.domain_type
      machine       = local.machine
      cpu_mode      = local.cpu_mode
      vcpus         = node.vcpus
      memory_mib    = node.memory_mib
      vcpu_pins     = node.vcpu_pins
      emulator_pins = node.emulator_pins
      numa_nodes    = node.numa_nodes
      hugepages     = node.hugepages
      pci           = node.pci
      mac           = node.mac
      network       = local.prefix
      console       = node.console
      metadata = {
        run      = var.run
        checkout = var.checkout
        cluster  = var.cluster
        node     = name
      }
    }
  }
}
