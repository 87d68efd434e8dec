/* Rules for the NUMA nodes of a machine. libvirt puts CPUs that no node holds into the first one and takes the sum
 * of the nodes for the memory: what it would make of them otherwise is said here instead. */
#include "schema/validate.h"
#include "schema/value.h"
#include <string.h>

#define KIB (1u << 10)

/* Counts how many nodes hold each CPU; the list is canonical. */
static void count_cpus(const char *list, GArray *held) {
  g_auto(GStrv) ranges = g_strsplit(list, ",", -1);
  for (guint i = 0; ranges[i] != NULL; i++) {
    const char *dash = strchr(ranges[i], '-');
    guint64 first = g_ascii_strtoull(ranges[i], NULL, 10), last = dash != NULL ? g_ascii_strtoull(dash + 1, NULL, 10) : first;
    if (last >= held->len)
      g_array_set_size(held, (guint)last + 1);
    for (guint64 cpu = first; cpu <= last; cpu++)
      g_array_index(held, guint, cpu)++;
  }
}

static void check_cell(const Check *outer, const NumaCellSpec *cell, guint cells, GArray *held) {
  g_autofree char *number = g_strdup_printf("%" G_GINT64_FORMAT, cell->id);
  const Check check = check_item(outer, "numa.cells", number);
  if (cell->id >= cells)
    check_error(&check, "id", "%u nodes are numbered from 0 to %u", cells, cells - 1);
  check_multiple(&check, "memory", cell->memory, KIB, "KiB");
  if (given(cell, NumaCellSpec, cpus))
    count_cpus(cell->cpus, held);
}

static void check_cpus(const Check *check, const GArray *held, const CpuSpec *cpu) {
  gint64 most = given(cpu, CpuSpec, max) ? cpu->max : cpu->count;
  for (guint i = 0; i < held->len; i++) {
    guint nodes = g_array_index(held, guint, i);
    if (nodes > 1) {
      check_error(check, "numa.cells", "CPU %u is in two nodes", i);
      return;
    }
    if (most > 0 && i >= most && nodes > 0) {
      check_error(check, "numa.cells", "there is no CPU %u: they count from 0 to %" G_GINT64_FORMAT, i, most - 1);
      return;
    }
  }
  for (gint64 i = 0; i < most; i++)
    if (i >= held->len || g_array_index(held, guint, i) == 0) {
      check_error(check, "numa.cells", "CPU %" G_GINT64_FORMAT " is in no node: the nodes hold all of cpu.%s", i,
                  given(cpu, CpuSpec, max) ? "max" : "count");
      return;
    }
}

static void check_sum(const Check *check, guint64 sum, const MemorySpec *memory) {
  gboolean has_max = given(memory, MemorySpec, max);
  g_autofree char *sum_text = bytes_format(sum), *text = bytes_format(has_max ? memory->max : memory->size);
  if (has_max && memory->max != sum)
    check_error(check, "memory.max", "the memory of the NUMA nodes is %s, and memory.max is %s: make them equal, or leave max out", sum_text, text);
  else if (!has_max && memory->size > sum)
    check_error(check, "memory.size", "the memory of the NUMA nodes is %s, and memory.size is %s: give the nodes more", sum_text, text);
}

void validate_numa(const Check *check) {
  const VmSpec *vm = object_vm(check->object);
  const NumaSpec *numa = &vm->numa;
  const GPtrArray *cells = given(numa, NumaSpec, cells) ? numa->cells : NULL;
  if (cells == NULL || cells->len == 0)
    return;
  g_autoptr(GArray) held = g_array_new(FALSE, TRUE, sizeof(guint));
  for (guint i = 0; i < cells->len; i++)
    check_cell(check, cells->pdata[i], cells->len, held);
  if (check->adopt) /* libvirt has made it so, and there may be memory in modules beside it */
    return;
  check_cpus(check, held, &vm->cpu);
  check_sum(check, numa_memory(numa), &vm->memory);
}
