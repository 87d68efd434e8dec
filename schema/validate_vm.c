/* Rules for a machine itself: CPUs, memory, boot, clock, power. Devices have their own files. */
#include "schema/reserved.h"
#include "schema/validate.h"
#include "schema/value.h"
#include <string.h>

#define KIB (1u << 10)
#define MIB (1u << 20)

static void check_topology(const Check *check, const CpuSpec *cpu) {
  const CpuTopologySpec *topology = &cpu->topology;
  const gint64 parts[] = {topology->sockets, topology->dies, topology->cores, topology->threads};
  gint64 product = 1, total = given(cpu, CpuSpec, max) ? cpu->max : cpu->count;
  for (guint i = 0; i < G_N_ELEMENTS(parts); i++)
    product *= MAX(parts[i], 1); /* what isn't given is 1 */
  if (topology->given && total && product != total)
    check_error(check, "cpu.topology", "the topology makes %" G_GINT64_FORMAT " CPUs, but cpu.%s is %" G_GINT64_FORMAT, product,
                given(cpu, CpuSpec, max) ? "max" : "count", total);
}

static void check_cpu(const Check *check, const CpuSpec *cpu) {
  gboolean has_mode = given(cpu, CpuSpec, mode), has_model = given(cpu, CpuSpec, model);
  gint64 most = given(cpu, CpuSpec, max) ? cpu->max : cpu->count;
  if (given(cpu, CpuSpec, max) && given(cpu, CpuSpec, count) && cpu->count > cpu->max)
    check_error(check, "cpu.count", "cpu.count %" G_GINT64_FORMAT " is more than cpu.max %" G_GINT64_FORMAT, cpu->count, cpu->max);
  check_topology(check, cpu);
  if (has_mode && cpu->mode == CpuMode_custom && !has_model && !check->adopt)
    check_error(check, "cpu.mode", "mode custom needs cpu.model");
  if (has_mode && cpu->mode != CpuMode_custom && has_model && !check->adopt)
    check_error(check, "cpu.model", "a model can only be chosen with mode custom");
  if (given(cpu, CpuSpec, quota) && cpu->quota > 0 && cpu->quota < 1000)
    check_error(check, "cpu.quota", "the quota is at least 1000 microseconds, or -1 for unlimited");
  for (guint i = 0; cpu->pinning && i < cpu->pinning->len; i++) {
    const CpuPinSpec *pin = cpu->pinning->pdata[i];
    g_autofree char *number = g_strdup_printf("%" G_GINT64_FORMAT, pin->vcpu);
    const Check inner = check_item(check, "cpu.pinning", number);
    if (most && pin->vcpu >= most)
      check_error(&inner, "vcpu", "there is no CPU %" G_GINT64_FORMAT ": they count from 0 to %" G_GINT64_FORMAT, pin->vcpu, most - 1);
  }
}

static void check_at_most(const Check *check, const char *path, guint64 value, const char *limit_path, guint64 limit) {
  if (!value || !limit || value <= limit)
    return;
  g_autofree char *value_text = bytes_format(value), *limit_text = bytes_format(limit);
  check_error(check, path, "%s %s is more than %s %s", path, value_text, limit_path, limit_text);
}

static void check_memory(const Check *check, const MemorySpec *memory) {
  check_multiple(check, "memory.size", memory->size, KIB, "KiB");
  check_multiple(check, "memory.max", memory->max, KIB, "KiB");
  check_multiple(check, "memory.hugePages", memory->hugePages, KIB, "KiB");
  check_multiple(check, "memory.statsPeriod", memory->statsPeriod, 1000, "seconds");
  check_at_most(check, "memory.size", memory->size, "memory.max", memory->max);
  if (memory->size)
    check_at_most(check, "memory.guaranteed", memory->guaranteed, "memory.size", memory->size);
  else
    check_at_most(check, "memory.guaranteed", memory->guaranteed, "memory.max", memory->max);
  if (!check->adopt && (memory->hugePages & (memory->hugePages - 1)))
    check_error(check, "memory.hugePages", "huge pages have a size that is a power of two, such as 2MiB or 1GiB");
}

static void check_boot(const Check *check, const VmSpec *vm) {
  const BootSpec *boot = &vm->boot;
  if (!given(boot, BootSpec, kernel) && !check->adopt) {
    if (given(boot, BootSpec, initrd))
      check_error(check, "boot.initrd", "an initrd needs boot.kernel");
    if (given(boot, BootSpec, cmdline))
      check_error(check, "boot.cmdline", "a command line needs boot.kernel");
  }
  if (given(boot, BootSpec, menuTimeout) && !boot->menu && !check->adopt)
    check_error(check, "boot.menuTimeout", "a time-out needs boot.menu: true");
  for (guint i = 0; boot->order && boot->order[i]; i++)
    for (guint j = 0; j < i; j++)
      if (strcmp(boot->order[i], boot->order[j]) == 0)
        check_error(check, "boot.order", "%s is in the boot order twice", boot->order[i]);
  const FirmwareSpec *firmware = &vm->firmware;
  if (firmware->secureBoot && !(given(firmware, FirmwareSpec, type) && firmware->type == Firmware_uefi))
    check_error(check, "firmware.secureBoot", "secure boot needs firmware.type: uefi");
}

static void check_clock(const Check *check, const ClockSpec *clock) {
  gboolean by_zone = given(clock, ClockSpec, offset) && clock->offset == ClockOffset_timezone;
  if (check->adopt)
    return;
  if (given(clock, ClockSpec, timezone) && !by_zone)
    check_error(check, "clock.timezone", "a time zone needs clock.offset: timezone");
  if (by_zone && !given(clock, ClockSpec, timezone))
    check_error(check, "clock.offset", "offset timezone needs clock.timezone");
}

static void check_power(const Check *check, const VmSpec *vm) {
  gboolean suspended = given(vm, VmSpec, powerState) && (vm->powerState == PowerState_paused || vm->powerState == PowerState_hibernated);
  if (suspended && vm->startPaused)
    check_error(check, "startPaused", "powerState %s says already how the machine is kept: remove startPaused",
                PowerState_words.words[vm->powerState]);
}

static void check_name(const Check *check) {
  if (g_strcmp0(check->object->metadata.name, HOST_LOCK_NAME) == 0)
    check_error(check, "metadata.name", "the domain %s is the lock on a host of a fleet: choose another name", HOST_LOCK_NAME);
}

void validate_machine(const Check *check) {
  const VmSpec *vm = object_vm(check->object);
  check_name(check);
  check_cpu(check, &vm->cpu);
  check_memory(check, &vm->memory);
  check_boot(check, vm);
  check_clock(check, &vm->clock);
  check_power(check, vm);
  check_multiple(check, "features.tcgCache", vm->features.tcgCache, MIB, "MiB");
  if (given(&vm->features, FeaturesSpec, tcgCache) && given(vm, VmSpec, type) && vm->type == DomainType_kvm)
    check_error(check, "features.tcgCache", "type kvm translates nothing: the cache is for emulated (qemu) machines");
}
