# All are passed to the module unchanged. The types are repeated here; the module validates them.

variable "libvirt_uri" {
  description = "Connection URI of libvirt."
  type        = string
  default     = "qemu:///system"
}

variable "checkout" {
  description = "Eight hexadecimal digits of the checkout: part of every libvirt name."
  type        = string
  nullable    = false
}

variable "run" {
  description = "Identity of the run that creates the cluster, kept in the domains' metadata."
  type        = string
  nullable    = false
}

variable "cluster" {
  description = "Cluster id, for example \"alpha-n2\"."
  type        = string
  nullable    = false
}

variable "accelerator" {
  description = "kvm: hardware virtualisation, host CPU. tcg: software emulation, every CPU feature it has."
  type        = string
  nullable    = false
}

variable "nodes" {
  description = <<-EOT
    The nodes by name. vcpu_pins: one host CPU set per vCPU, in order, or empty for no pinning.
    emulator_pins: host CPU set of the emulator's threads. numa_nodes: host NUMA nodes that memory
    is bound to (strict). pci: addresses of host functions (PCI, SR-IOV) handed to the guest.
  EOT
  type = map(object({
    role          = string
    vcpus         = number
    memory_mib    = number
    mac           = string
    address       = string
    vcpu_pins     = optional(list(string), [])
    emulator_pins = optional(string)
    numa_nodes    = optional(string)
    hugepages     = optional(bool, false)
    pci           = optional(list(string), [])
  }))
  nullable = false
}

variable "network" {
  description = "Address range (IPv4) and DNS domain of the cluster's network."
  type = object({
    cidr   = optional(string, "10.0.100.0/24")
    domain = optional(string, "benchmark.local")
  })
  default  = {}
  nullable = false
}

variable "pool_directory" {
  description = "Directory for the cluster's disks and seeds, used by this cluster only."
  type        = string
  nullable    = false
}

variable "console_directory" {
  description = "Existing directory for the serial console logs, one file per node."
  type        = string
  nullable    = false
}

variable "base_image" {
  description = "Bootable qcow2 file that every node's disk is an overlay of. It is neither written nor copied."
  type        = string
  nullable    = false
}

variable "disk_size" {
  description = "Size of a node's disk in bytes; null means that of the base image. If it is larger, the guest grows its root file system."
  type        = number
  default     = null
}

variable "disk_cache" {
  description = "QEMU's cache mode of the node disks."
  type        = string
  default     = "writeback"
  nullable    = false
}

variable "ssh_public_key" {
  description = "Public key that may log in as `bench`."
  type        = string
  nullable    = false
}

variable "wait_for_lease" {
  description = "Wait until every guest has its address. False only for disks that boot nothing."
  type        = bool
  default     = true
  nullable    = false
}

variable "boot_timeout" {
  description = "Seconds that a guest has to get its address."
  type        = number
  default     = 900
  nullable    = false
}
