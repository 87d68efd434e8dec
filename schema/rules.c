/* The rows. */
#include "schema/rules.h"
#include "schema/reserved.h"

#define MACHINE(...) {.kind = KIND_VIRTUAL_MACHINE, __VA_ARGS__}
#define ITEM(list, ...) {.kind = KIND_VIRTUAL_MACHINE, .in = list, __VA_ARGS__}
#define PROFILE(...) {.kind = KIND_PROFILE, __VA_ARGS__}
#define NETWORK(...) {.kind = KIND_NETWORK, __VA_ARGS__}
#define IMAGE(...) {.kind = KIND_IMAGE, __VA_ARGS__}
#define VOLUME(...) {.kind = KIND_VOLUME, __VA_ARGS__}
#define POOL(...) {.kind = KIND_STORAGE_POOL, __VA_ARGS__}
#define NAME(of, ...) {.kind = KIND_##of, .in = "metadata", .at = "metadata.name", __VA_ARGS__}
#define MIGRATION_NEEDS(what, terms, needed) \
  MACHINE(.forbids = "migration." what " " terms, .at = "migration." what, .message = "migration." what " needs " needed)
#define MIGRATION_APART(what, terms, other) \
  MACHINE(.forbids = terms, .at = "migration." what, .message = "migration." what " and " other " can't be combined")
#define COMPRESSION "migration.compression"
#define POOL_HAS_NO(part, types) POOL(.forbids = "type=" types " source." part, .at = "source." part, .message = "type {type} has no source." part)
#define POOL_NEEDS(part, types, help) \
  POOL(.forbids = "type=" types " !source." part, .at = "source." part, .message = "type {type} needs source." part ": " help, .unless_adopted = TRUE)
#define DRIVE "device=cdrom,floppy"
#define HIDDEN "a name can't start with a dot: libvirt passes over such files"
#define NO_DOT "the name of a snapshot can't start with a dot"
#define MADE_FROM "provision says how a disk is made from an image: give the image, or remove it"
#define OVERLAY_RAW "an overlay can't be raw: use qcow2, or provision: copy"
#define WRONG_BUS "{target} isn't on a {bus} bus: vd* is virtio, hd* ide, sd* scsi, sata or usb, fd* fdc"
#define ONE_SOURCE "a disk has one source: image, volume or path"
#define ONE_IMAGE "an image has one of source (a file of this host), url and cloudInit"
#define BRIDGED(what) \
  NETWORK(.forbids = "mode=bridge " what, .at = what, .message = "with mode bridge there is no " what ": the bridge's own network has it")
#define PAIRED(one, other) \
  NETWORK(.forbids = "!mode=bridge " one " !" other, .at = other, .message = "address and prefix belong together: give " other " too", .unless_adopted = TRUE)
#define TOTAL "a limit of the total can't be combined with one of reads or writes"

const Rule rules[] = {
  /* Names. */
  NAME(HOST, .forbids = "name~^\\.", .message = HIDDEN), NAME(STORAGE_POOL, .forbids = "name~^\\.", .message = HIDDEN),
  NAME(NETWORK, .forbids = "name~^\\.", .message = HIDDEN), NAME(IMAGE, .forbids = "name~^\\.", .message = HIDDEN),
  NAME(VOLUME, .forbids = "name~^\\.", .message = HIDDEN), NAME(PROFILE, .forbids = "name~^\\.", .message = HIDDEN),
  NAME(VIRTUAL_MACHINE, .forbids = "name~^\\.", .message = HIDDEN),
  NAME(VIRTUAL_MACHINE, .forbids = "name=" HOST_LOCK_NAME,
       .message = "the domain " HOST_LOCK_NAME " is the lock on a host of a fleet: choose another name"),
  NAME(STORAGE_POOL, .forbids = "name=" ASIDE_POOL_NAME,
       .message = "the pool " ASIDE_POOL_NAME " is made and removed while machines move: choose another name"),

  /* Profiles: what each machine has for itself. */
  PROFILE(.forbids = "profile", .at = "profile", .message = "a Profile can't build on another one"),
  PROFILE(.forbids = "uuid", .at = "uuid", .message = "a Profile can't give a uuid: each machine has its own"),
  PROFILE(.in = "interfaces", .forbids = "mac", .at = "mac", .message = "a Profile can't give a mac: each interface has its own"),

  /* The machine itself. */
  MACHINE(.forbids = "cpu.mode=custom !cpu.model", .at = "cpu.mode", .message = "mode custom needs cpu.model", .unless_adopted = TRUE),
  MACHINE(.forbids = "cpu.mode=host-model,host-passthrough,maximum cpu.model", .at = "cpu.model",
          .message = "a model can only be chosen with mode custom", .unless_adopted = TRUE),
  MACHINE(.forbids = "cpu.quota>0 cpu.quota<1000", .at = "cpu.quota",
          .message = "the quota is at least 1000 microseconds, or -1 for unlimited"),
  MACHINE(.forbids = "boot.initrd !boot.kernel", .at = "boot.initrd", .message = "an initrd needs boot.kernel", .unless_adopted = TRUE),
  MACHINE(.forbids = "boot.cmdline !boot.kernel", .at = "boot.cmdline", .message = "a command line needs boot.kernel", .unless_adopted = TRUE),
  MACHINE(.forbids = "boot.menuTimeout !boot.menu=true", .at = "boot.menuTimeout", .message = "a time-out needs boot.menu: true",
          .unless_adopted = TRUE),
  MACHINE(.forbids = "boot.order+", .at = "boot.order", .message = "a device is in the boot order twice"),
  MACHINE(.forbids = "firmware.secureBoot=true !firmware.type=uefi", .at = "firmware.secureBoot",
          .message = "secure boot needs firmware.type: uefi"),
  MACHINE(.forbids = "clock.timezone !clock.offset=timezone", .at = "clock.timezone",
          .message = "a time zone needs clock.offset: timezone", .unless_adopted = TRUE),
  MACHINE(.forbids = "clock.offset=timezone !clock.timezone", .at = "clock.offset",
          .message = "offset timezone needs clock.timezone", .unless_adopted = TRUE),
  MACHINE(.forbids = "powerState=paused,hibernated startPaused=true", .at = "startPaused",
          .message = "powerState {powerState} says already how the machine is kept: remove startPaused"),
  MACHINE(.forbids = "type=kvm features.tcgCache", .at = "features.tcgCache",
          .message = "type kvm translates nothing: the cache is for emulated (qemu) machines"),
  MACHINE(.forbids = "numa.mode !numa.nodeset", .at = "numa.mode",
          .message = "a mode needs numa.nodeset: the host's nodes that it is about", .unless_adopted = TRUE),
  MACHINE(.forbids = "rng.ratePeriod !rng.rateBytes", .at = "rng.ratePeriod",
          .message = "a period needs rateBytes: the bytes that may pass in it", .unless_adopted = TRUE),
  MACHINE(.forbids = "video.model=none video.vram", .at = "video.vram", .message = "model none is no card: it has no memory"),
  MACHINE(.forbids = "video.model=none video.heads", .at = "video.heads", .message = "model none is no card: it has no monitors"),
  MACHINE(.forbids = "placement.host placement.selector", .at = "placement.selector", .message = "give a host or a selector, not both"),
  MACHINE(.forbids = "placement.failBack=true !placement.selector", .at = "placement.failBack",
          .message = "what a file places by name is there anyway: give a selector, or leave it out"),
  MACHINE(.forbids = "snapshotPolicy.prefix~^\\.", .at = "snapshotPolicy.prefix", .message = NO_DOT),

  /* Migration: what QEMU and libvirt don't combine. */
  MIGRATION_NEEDS("compressionLevel", "!" COMPRESSION "=mt,zlib,zstd", "compression mt, zlib or zstd"),
  MACHINE(.forbids = "migration.compressionLevel>9 !" COMPRESSION "=zstd", .at = "migration.compressionLevel",
          .message = "levels above 9 are of compression zstd only"),
  MIGRATION_NEEDS("compressionThreads", "!" COMPRESSION "=mt", "compression mt"),
  MIGRATION_NEEDS("decompressionThreads", "!" COMPRESSION "=mt", "compression mt"),
  MIGRATION_NEEDS("compressionCache", "!" COMPRESSION "=xbzrle", "compression xbzrle"),
  MIGRATION_NEEDS("compression", COMPRESSION "=zlib,zstd !migration.parallel", "parallel, for zlib and zstd"),
  MIGRATION_APART("parallel", "migration.parallel " COMPRESSION "=xbzrle,mt", "compression xbzrle or mt"),
  MIGRATION_APART("postCopy", "migration.postCopy=true " COMPRESSION "=mt", "compression mt"),
  MIGRATION_NEEDS("autoConvergeInitial", "!migration.autoConverge=true", "autoConverge: true"),
  MIGRATION_NEEDS("autoConvergeIncrement", "!migration.autoConverge=true", "autoConverge: true"),
  MIGRATION_NEEDS("postCopyBandwidth", "!migration.postCopy=true", "postCopy: true"),
  MIGRATION_APART("postCopy", "migration.postCopy=true migration.parallel", "parallel"),
  MIGRATION_NEEDS("zeroCopy", "migration.zeroCopy=true !migration.parallel", "parallel"),
  MIGRATION_APART("zeroCopy", "migration.zeroCopy=true " COMPRESSION "=xbzrle,mt,zlib,zstd", "compression"),

  /* Disks: one source each, on a bus that fits the target, and what goes with what they are for. */
  ITEM("disks", .forbids = "image volume", .at = "volume", .message = ONE_SOURCE),
  ITEM("disks", .forbids = "image path | volume path", .at = "path", .message = ONE_SOURCE),
  ITEM("disks", .forbids = "!image !volume !path !size !" DRIVE, .at = "target",
       .message = "a disk needs a size, or a source: image, volume or path", .unless_adopted = TRUE),
  ITEM("disks", .forbids = "image device=floppy", .at = "image",
       .message = "images are read-only, and a {device} is written to: give a path or a volume"),
  ITEM("disks", .forbids = "size " DRIVE, .at = "size", .message = "a {device} has the size of what is in it: leave out size"),
  ITEM("disks", .forbids = "image provision " DRIVE, .at = "provision",
       .message = "a cdrom reads its image itself: there is no overlay or copy"),
  ITEM("disks", .forbids = "image pool " DRIVE, .at = "pool",
       .message = "a cdrom reads its image where that is: give the pool to the Image"),
  ITEM("disks", .forbids = "image format=qcow2 " DRIVE, .at = "format", .message = "what a cdrom reads is raw"),
  ITEM("disks", .forbids = "pool path", .at = "pool", .message = "a path is used as it is: remove the pool, or name a volume of it"),
  ITEM("disks", .forbids = "provision !image", .at = "provision", .message = MADE_FROM, .unless_adopted = TRUE),
  ITEM("disks", .forbids = "image !" DRIVE " !provision=copy format=raw", .at = "format", .message = OVERLAY_RAW),
  ITEM("disks", .forbids = "target~^x", .at = "target", .message = "{target} is a Xen disk: use vda, sda, hda or fda and on", .unless_adopted = TRUE),
  ITEM("disks", .forbids = "target~^v bus=ide,scsi,sata,usb,fdc | target~^h bus=virtio,scsi,sata,usb,fdc | target~^s bus=virtio,ide,fdc | "
                           "target~^f bus=virtio,ide,scsi,sata,usb", .at = "bus", .message = WRONG_BUS, .unless_adopted = TRUE),
  ITEM("disks", .forbids = "device=cdrom target~^[vf]", .at = "target", .message = "a cdrom can't be {target}: use sda or hda and on",
       .unless_adopted = TRUE),
  ITEM("disks", .forbids = "device=floppy target~^[vhs] | !device=floppy target~^f", .at = "target",
       .message = "a floppy is fda or fdb, and only a floppy is: {target}", .unless_adopted = TRUE),
  ITEM("disks", .forbids = "io=native !cache=none,directsync", .at = "io", .message = "io native needs cache none or directsync", .unless_adopted = TRUE),
  ITEM("disks", .forbids = "device=cdrom readOnly=false", .at = "readOnly", .message = "a cdrom is always read-only", .unless_adopted = TRUE),
  ITEM("disks", .forbids = "ioLimits.total~[1-9] ioLimits.read~[1-9] | ioLimits.total~[1-9] ioLimits.write~[1-9]", .at = "ioLimits.total",
       .message = TOTAL),
  ITEM("disks", .forbids = "ioLimits.totalIops>0 ioLimits.readIops>0 | ioLimits.totalIops>0 ioLimits.writeIops>0",
       .at = "ioLimits.totalIops", .message = TOTAL),
  ITEM("disks", .forbids = "label !filesystem", .at = "label", .message = "a label is that of a file system: give filesystem too"),
  ITEM("disks", .forbids = "filesystem image | filesystem volume | filesystem path | filesystem " DRIVE, .at = "filesystem",
       .message = "only a blank disk is formatted: give size alone, without image, volume or path"),
  ITEM("disks", .forbids = "filesystem=vfat label~.{12}", .at = "label", .message = "a label of vfat has at most 11 characters"),
  ITEM("disks", .forbids = "filesystem=swap label~.{16}", .at = "label", .message = "a label of swap has at most 15 characters"),
  ITEM("disks", .forbids = "filesystem label~^[^A-Za-z0-9]|[^A-Za-z0-9_-]", .at = "label",
       .message = "a label has letters, digits, - and _, and begins with a letter or digit"),
  ITEM("disks", .forbids = "stateless=true " DRIVE, .at = "stateless", .message = "a {device} isn't written to: stateless is for disks"),
  ITEM("disks", .forbids = "stateless=true device=disk readOnly=true | stateless=true !device readOnly=true", .at = "stateless",
       .message = "a disk is either read-only or stateless: the guest writes to a stateless one, and that is dropped"),
  ITEM("disks", .forbids = "stateless=true shareable=true", .at = "stateless",
       .message = "a stateless disk can't be shareable: each machine would drop what it wrote for itself"),
  ITEM("disks", .forbids = "stateless=true path~^/dev/", .at = "stateless",
       .message = "a block device can't be stateless: what is dropped is kept in a file beside the disk"),
  ITEM("exports", .forbids = "compress=gzip,zstd format=raw", .at = "compress",
       .message = "only qcow2 is compressed within: leave out format"),
  ITEM("snapshots", .forbids = "name~^\\.", .at = "name", .message = NO_DOT),
  ITEM("snapshots", .forbids = "mode=internal disks", .at = "disks",
       .message = "an internal snapshot is always of all disks: leave out disks, or use mode external"),

  /* Interfaces and the other devices. */
  ITEM("interfaces", .forbids = "network bridge | network direct | network user=true | bridge direct | bridge user=true | direct user=true",
       .at = "name", .message = "an interface is connected to one of network, bridge, direct or user"),
  ITEM("interfaces", .forbids = "!network !bridge !direct !user=true", .at = "name",
       .message = "an interface needs one of network, bridge, direct or user: true", .unless_adopted = TRUE),
  ITEM("interfaces", .forbids = "mtu direct | mtu user=true", .at = "mtu", .message = "libvirt sets an mtu only of interfaces on a network or bridge: remove it"),
  ITEM("interfaces", .forbids = "directMode !direct", .at = "directMode", .message = "directMode is about direct: give that too"),
  ITEM("interfaces", .forbids = "inbound.peak !inbound.average", .at = "inbound.peak", .message = "peak and burst need an average"),
  ITEM("interfaces", .forbids = "inbound.burst !inbound.average", .at = "inbound.burst", .message = "peak and burst need an average"),
  ITEM("interfaces", .forbids = "outbound.peak !outbound.average", .at = "outbound.peak", .message = "peak and burst need an average"),
  ITEM("interfaces", .forbids = "outbound.burst !outbound.average", .at = "outbound.burst", .message = "peak and burst need an average"),
  ITEM("serials", .forbids = "type=file,socket !path", .at = "type", .message = "type {type} needs a path", .unless_adopted = TRUE),
  ITEM("serials", .forbids = "type=pty path", .at = "path", .message = "a pty is chosen at start: remove the path", .unless_adopted = TRUE),
  ITEM("serials", .forbids = "type=pty,file socketMode", .at = "socketMode", .message = "socketMode is only for type socket", .unless_adopted = TRUE),
  ITEM("serials", .forbids = "type=pty,socket append", .at = "append", .message = "append is only for type file", .unless_adopted = TRUE),
  ITEM("consoles", .forbids = "type=file,socket !path", .at = "type", .message = "type {type} needs a path", .unless_adopted = TRUE),
  ITEM("consoles", .forbids = "type=pty path", .at = "path", .message = "a pty is chosen at start: remove the path", .unless_adopted = TRUE),
  ITEM("consoles", .forbids = "type=pty,file socketMode", .at = "socketMode", .message = "socketMode is only for type socket", .unless_adopted = TRUE),
  ITEM("graphics", .forbids = "type=vnc clipboard", .at = "clipboard", .message = "only spice has a clipboard"),
  ITEM("graphics", .forbids = "type=vnc fileTransfer", .at = "fileTransfer", .message = "only spice transfers files"),
  ITEM("filesystems", .forbids = "driver=virtiofs readOnly=true", .at = "readOnly", .message = "virtiofs can't be read-only here: use driver 9p"),

  /* Storage. */
  POOL(.forbids = "type=dir,fs,netfs !target", .at = "target", .message = "type {type} needs target: the directory where its volumes appear",
       .unless_adopted = TRUE),
  POOL_HAS_NO("device", "dir,netfs"), POOL_HAS_NO("host", "dir,fs,logical"), POOL_HAS_NO("dir", "dir,fs,logical"),
  POOL_HAS_NO("name", "dir,fs,netfs"), POOL_HAS_NO("format", "dir"),
  POOL_NEEDS("device", "fs", "a block device"), POOL_NEEDS("host", "netfs", "the file server"),
  POOL_NEEDS("dir", "netfs", "the directory that it exports"), POOL_NEEDS("name", "logical", "the volume group"),
  IMAGE(.forbids = "!source !url !cloudInit | source url | source cloudInit | url cloudInit", .at = "url", .message = ONE_IMAGE),
  IMAGE(.forbids = "cloudInit sha256", .at = "sha256", .message = "a medium for cloud-init is made here: its digest follows from its content"),
  IMAGE(.forbids = "cloudInit format=qcow2", .at = "format", .message = "a medium for cloud-init is raw"),
  IMAGE(.forbids = "cloudInit useLatest", .at = "useLatest", .message = "useLatest is for a source directory"),
  IMAGE(.forbids = "url !sha256", .at = "url", .message = "what comes over the network is held against its digest: give sha256"),
  IMAGE(.forbids = "url useLatest=true", .at = "useLatest",
        .message = "useLatest is for a source directory; with a url, sha256 says which content it is"),
  VOLUME(.forbids = "!image !size", .at = "size", .message = "a volume needs a size, or an image that it is made from"),
  VOLUME(.forbids = "provision !image", .at = "provision",
         .message = "provision says how a volume is made from an image: give the image, or remove it"),
  VOLUME(.forbids = "image !provision=copy format=raw", .at = "format", .message = OVERLAY_RAW),

  /* Networks. */
  NETWORK(.forbids = "mode=bridge !bridge", .at = "bridge", .message = "mode bridge needs bridge: the host's bridge to use", .unless_adopted = TRUE),
  BRIDGED("address"), BRIDGED("prefix"), BRIDGED("dhcp"), BRIDGED("domain"),
  PAIRED("address", "prefix"), PAIRED("prefix", "address"),
  NETWORK(.forbids = "!mode=bridge !address !prefix dhcp", .at = "dhcp", .message = "dhcp needs the network's address and prefix", .unless_adopted = TRUE),
  NETWORK(.forbids = "mode=nat,route !address !prefix !dhcp", .at = "address", .message = "mode {mode} needs address and prefix", .unless_adopted = TRUE),
  NETWORK(.forbids = "!mode=bridge address~^[0-9.]+$ prefix>32", .at = "prefix", .message = "the prefix of an IPv4 network is at most 32"),
};
const guint n_rules = G_N_ELEMENTS(rules);

