# Builds an image that a scheduler's machines start from: the base disk with the install parts of
# roles (playbooks/image.yml). The build checks the image. The result is a thin overlay on the base
# disk.

packer {
  required_version = ">= 1.11.0"
  required_plugins {
    qemu = {
      source  = "github.com/hashicorp/qemu"
      version = ">= 1.0.9"
    }
  }
}

variable "roles" {
  type        = list(string)
  description = "Ansible roles whose install parts make the image, in order."
  validation {
    condition     = length(var.roles) > 0 && alltrue([for role in var.roles : can(regex("^[a-z0-9_]+$", role))])
    error_message = "The roles must be a list of names of lower-case letters, digits and underscores."
  }
}

variable "verify_scripts" {
  type        = list(string)
  description = "Scripts of the roles that check the image, run in it as root."
}

variable "secrets" {
  type        = list(string)
  description = "Files in the guest that every machine must make itself; they are removed."
  default     = []
}

variable "files_disk" {
  type        = string
  description = "ISO image with large files for the roles, labelled FILES; empty for none."
  default     = ""
}

variable "base_disk" {
  type        = string
  description = "Bootable qcow2 file with cloud-init; it is only read."
  validation {
    condition     = startswith(var.base_disk, "/")
    error_message = "The base disk must be an absolute path."
  }
}

variable "base_sha256" {
  type        = string
  description = "SHA-256 of the base disk."
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.base_sha256))
    error_message = "The digest must be 64 hexadecimal digits."
  }
}

variable "seed" {
  type        = string
  description = "cloud-init seed (NoCloud) that gives the build access to the guest."
}

variable "private_key" {
  type        = string
  description = "Private SSH key that was made for this build only."
}

variable "accelerator" {
  type        = string
  description = "kvm or tcg."
  validation {
    condition     = contains(["kvm", "tcg"], var.accelerator)
    error_message = "The accelerator must be kvm or tcg."
  }
}

variable "output_directory" {
  type        = string
  description = "Folder of the image; must not exist."
}

variable "manifest" {
  type        = string
  description = "Where to write the manifest."
}

variable "ansible_directory" {
  type        = string
  description = "Folder with ansible.cfg, playbooks and roles."
}

variable "guest_directory" {
  type        = string
  description = "Folder with the programs that run inside guests."
}

variable "payload" {
  type        = string
  description = "The compiled payload."
}

variable "variables_file" {
  type        = string
  description = "JSON file with Ansible's variables of the base disk's distribution."
}

variable "facts_directory" {
  type        = string
  description = "Where the build's package list is written."
}

variable "boot_timeout" {
  type        = string
  description = "Time for the base disk to boot, as a duration."
  default     = "15m"
}

variable "cpus" {
  type    = number
  default = 2
}

variable "memory" {
  type        = number
  description = "Memory of the build's guest, MiB."
  default     = 1024
}

source "qemu" "image" {
  disk_image       = true
  use_backing_file = true
  iso_url          = "file://${var.base_disk}"
  iso_checksum     = "sha256:${var.base_sha256}"
  skip_resize_disk = true
  format           = "qcow2"
  vm_name          = "disk.qcow2"
  output_directory = var.output_directory

  accelerator  = var.accelerator
  machine_type = "q35"
  cpu_model    = var.accelerator == "kvm" ? "host" : "max"
  cpus         = var.cpus
  memory       = var.memory
  headless     = true
  # The Debian cloud kernel has no driver for a CD drive: the seed is a virtio disk.
  disk_interface = "virtio"
  net_device     = "virtio-net"
  qemuargs = concat(
    [
      ["-drive", "file=${var.output_directory}/disk.qcow2,if=virtio,cache=unsafe,format=qcow2"],
      ["-drive", "file=${var.seed},if=virtio,format=raw,readonly=on"],
      ["-serial", "file:${var.facts_directory}/console.log"],
    ],
    # Copying hundreds of MB over SSH would take minutes under emulation.
    var.files_disk == "" ? [] : [["-drive", "file=${var.files_disk},if=virtio,format=raw,readonly=on"]],
  )

  communicator         = "ssh"
  ssh_username         = "bench"
  ssh_private_key_file = var.private_key
  ssh_timeout          = var.boot_timeout
  # Every OpenSSH server has SFTP; the program scp is in a package of its own since Debian forky.
  ssh_file_transfer_method = "sftp"
  # The build's own access to the guest is removed last.
  shutdown_command = "sudo sh -c 'rm -f /etc/sudoers.d/90-cloud-init-users /home/bench/.ssh/authorized_keys; systemctl poweroff'"
  shutdown_timeout = "5m"
}

build {
  sources = ["source.qemu.image"]

  provisioner "shell" {
    inline = ["cloud-init status --wait >/dev/null || [ $? -eq 2 ]"]
  }

  # Packer's Ansible plugin is not available from every registry; ansible-playbook is.
  provisioner "shell-local" {
    environment_vars = [
      "ANSIBLE_CONFIG=${var.ansible_directory}/ansible.cfg",
      "ANSIBLE_ROLES_PATH=${var.ansible_directory}/roles",
    ]
    inline = [
      join(" ", [
        "ansible-playbook",
        "--inventory '${build.Host},'",
        "--user bench",
        "--private-key '${var.private_key}'",
        "--ssh-common-args '-F none -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR'",
        "--extra-vars ansible_port=${build.Port}",
        "--extra-vars schedlab_payload_file='${var.payload}'",
        "--extra-vars schedlab_guest_directory='${var.guest_directory}'",
        "--extra-vars '${jsonencode({ schedlab_roles = var.roles })}'",
        "--extra-vars '@${var.variables_file}'",
        "'${var.ansible_directory}/playbooks/image.yml'",
      ]),
    ]
  }

  # If a check fails, there is no image.
  provisioner "shell" {
    scripts         = var.verify_scripts
    execute_command = "chmod +x {{ .Path }}; sudo {{ .Vars }} {{ .Path }}"
  }

  # As schedlab.stages.guests.PACKAGES does.
  provisioner "shell" {
    inline = [
      "if command -v dpkg-query >/dev/null; then dpkg-query -W -f '$${Package}=$${Version}\\n'; else rpm -qa --queryformat '%%{NAME}=%%{VERSION}-%%{RELEASE}\\n'; fi | sort > /tmp/packages.txt",
    ]
  }

  provisioner "file" {
    direction   = "download"
    source      = "/tmp/packages.txt"
    destination = "${var.facts_directory}/packages.txt"
  }

  provisioner "shell" {
    script           = "${path.root}/scripts/generalise.sh"
    environment_vars = ["SECRETS=${join(" ", var.secrets)}"]
    execute_command  = "chmod +x {{ .Path }}; sudo {{ .Vars }} {{ .Path }}"
  }

  post-processor "manifest" {
    output     = var.manifest
    strip_path = true
    custom_data = {
      base_sha256 = var.base_sha256
      accelerator = var.accelerator
    }
  }
}
