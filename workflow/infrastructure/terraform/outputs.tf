output "inventory" {
  description = "The cluster as Ansible needs it: group variables and one object per host."
  value       = module.cluster.inventory
}

output "network" {
  description = "The network: name, bridge, cidr, gateway, domain."
  value       = module.cluster.network
}

output "volumes" {
  description = "Per node: paths of the disk and of the cloud-init seed."
  value       = module.cluster.volumes
}

output "domains" {
  description = "Per node: libvirt's name and UUID of the domain, and the path of its console log."
  value       = module.cluster.domains
}

output "declared" {
  description = "What was asked for, per node, for the comparison with the live domains."
  value       = module.cluster.declared
}
