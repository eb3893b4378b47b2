variable "checkout" {
  description = "Eight hexadecimal digits of the checkout: part of every libvirt name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9a-f]{8}$", var.checkout))
    error_message = "checkout must be eight hexadecimal digits, for example \"0a1b2c3d\"."
  }
}

variable "run" {
  description = "Identity of the run that creates the cluster, kept in the domains' metadata."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{1,64}$", var.run))
    error_message = "run must have 1 to 64 letters, digits, dots, underscores or hyphens."
  }
}

variable "cluster" {
  description = "Cluster id, for example \"alpha-n2\"."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$", var.cluster))
    error_message = "cluster must have 1 to 64 lower-case letters, digits or inner hyphens, for example \"alpha-n2\"."
  }
}

variable "accelerator" {
  description = "kvm: hardware virtualisation, host CPU. tcg: software emulation, every CPU feature it has."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["kvm", "tcg"], var.accelerator)
    error_message = "accelerator must be \"kvm\" or \"tcg\" (\"auto\" is resolved before Terraform runs)."
  }
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

  validation {
    condition     = alltrue([for name in keys(var.nodes) : can(regex("^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$", name))])
    error_message = "Node names must be host names: lower-case letters, digits and inner hyphens, a letter first."
  }

  validation {
    condition     = alltrue([for node in values(var.nodes) : contains(["head", "compute"], node.role)])
    error_message = "A node's role must be \"head\" or \"compute\"."
  }

  validation {
    condition     = length([for node in values(var.nodes) : node if node.role == "head"]) == 1
    error_message = "A cluster has exactly one node with the role \"head\"."
  }

  validation {
    condition     = alltrue([for node in values(var.nodes) : node.vcpus >= 1 && floor(node.vcpus) == node.vcpus])
    error_message = "vcpus must be a whole number, 1 or more."
  }

  validation {
    condition     = alltrue([for node in values(var.nodes) : node.memory_mib >= 128 && floor(node.memory_mib) == node.memory_mib])
    error_message = "memory_mib must be a whole number of MiB, 128 or more."
  }

  validation {
    condition = alltrue([
      for node in values(var.nodes) : can(regex("^[0-9a-f][26ae](:[0-9a-f]{2}){5}$", node.mac))
    ])
    error_message = "mac must be a locally administered unicast address in lower case, for example \"52:54:00:12:34:56\"."
  }

  validation {
    condition     = length(distinct([for node in values(var.nodes) : node.mac])) == length(var.nodes)
    error_message = "Two nodes have the same mac."
  }

  validation {
    condition     = length(distinct([for node in values(var.nodes) : node.address])) == length(var.nodes)
    error_message = "Two nodes have the same address."
  }

  validation {
    condition = alltrue([
      for node in values(var.nodes) : contains([0, node.vcpus], length(node.vcpu_pins))
    ])
    error_message = "vcpu_pins must be empty or name one host CPU set for each vCPU."
  }

  validation {
    condition = alltrue(flatten([
      for node in values(var.nodes) : [
        for set in concat(node.vcpu_pins, compact([node.emulator_pins, node.numa_nodes])) :
        can(regex("^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$", set))
      ]
    ]))
    error_message = "CPU and NUMA sets must look like \"3\", \"0-3\" or \"0,2-3\"."
  }

  validation {
    condition = alltrue(flatten([
      for node in values(var.nodes) : [
        for address in node.pci : can(regex("^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]$", address))
      ]
    ]))
    error_message = "PCI addresses must look like \"0000:03:00.0\" (lower case, as lspci -D prints them)."
  }

  validation {
    condition     = alltrue([for node in values(var.nodes) : length(node.pci) == 0 || node.role == "compute"])
    error_message = "PCI functions go to compute nodes only."
  }
}

variable "network" {
  description = "Address range (IPv4) and DNS domain of the cluster's network."
  type = object({
    cidr   = optional(string, "10.0.100.0/24")
    domain = optional(string, "benchmark.local")
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(cidrnetmask(var.network.cidr)) && try(cidrhost(var.network.cidr, 0) == split("/", var.network.cidr)[0], false)
    error_message = "network.cidr must be an IPv4 network address with its prefix, for example \"10.0.100.0/24\"."
  }

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", var.network.domain))
    error_message = "network.domain must be a DNS domain in lower case, for example \"benchmark.local\"."
  }
}

variable "pool_directory" {
  description = "Directory for the cluster's disks and seeds, used by this cluster only."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^/[^\n]+[^/\n]$", var.pool_directory))
    error_message = "pool_directory must be an absolute path without a trailing slash."
  }
}

variable "console_directory" {
  description = "Existing directory for the serial console logs, one file per node."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^/[^\n]+[^/\n]$", var.console_directory))
    error_message = "console_directory must be an absolute path without a trailing slash."
  }
}

variable "base_image" {
  description = "Bootable qcow2 file that every node's disk is an overlay of. It is neither written nor copied."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^/[^\n]+$", var.base_image))
    error_message = "base_image must be the absolute path of a qcow2 file."
  }
}

variable "disk_size" {
  description = "Size of a node's disk in bytes; null means that of the base image. If it is larger, the guest grows its root file system."
  type        = number
  default     = null

  validation {
    condition     = var.disk_size == null ? true : var.disk_size >= 1048576 && var.disk_size % 512 == 0
    error_message = "disk_size must be a multiple of 512 bytes, 1 MiB or more."
  }
}

variable "disk_cache" {
  description = "QEMU's cache mode of the node disks."
  type        = string
  default     = "writeback"
  nullable    = false

  validation {
    condition     = contains(["none", "writeback", "writethrough", "directsync", "unsafe"], var.disk_cache)
    error_message = "disk_cache must be none, writeback, writethrough, directsync or unsafe."
  }
}

variable "ssh_public_key" {
  description = "Public key that may log in as `bench`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^(ssh-ed25519|ssh-rsa|ecdsa-sha2-[a-z0-9-]+) [A-Za-z0-9+/=]+( [^\n\"]*)?$", var.ssh_public_key))
    error_message = "ssh_public_key must be one OpenSSH public key line, for example \"ssh-ed25519 AAAA... comment\"."
  }
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

  validation {
    condition     = var.boot_timeout >= 10 && floor(var.boot_timeout) == var.boot_timeout
    error_message = "boot_timeout must be a whole number of seconds, 10 or more."
  }
}
