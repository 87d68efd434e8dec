/* Rules for a machine itself: numbers of CPUs and sizes of memory that fit together. */
#include "schema/validate.h"
#include "schema/value.h"

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
  gint64 most = given(cpu, CpuSpec, max) ? cpu->max : cpu->count;
  if (given(cpu, CpuSpec, max) && given(cpu, CpuSpec, count) && cpu->count > cpu->max)
    check_error(check, "cpu.count", "cpu.count %" G_GINT64_FORMAT " is more than cpu.max %" G_GINT64_FORMAT, cpu->count, cpu->max);
  check_topology(check, cpu);
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

void validate_machine(const Check *check) {
  const VmSpec *vm = object_vm(check->object);
  check_cpu(check, &vm->cpu);
  check_memory(check, &vm->memory);
  check_multiple(check, "features.tcgCache", vm->features.tcgCache, MIB, "MiB");
}
