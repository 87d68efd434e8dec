/* Places where tests kill the process, numbered in the order in which a run passes them. Only in a
 * build with RECONCILE_FAULTS (presets asan and fuzz); elsewhere FAULT is nothing.
 *
 * RECONCILE_FAULT_LOG=FILE appends the name of each place that is passed.
 * RECONCILE_FAULT_AT=N ends the process by SIGKILL at the Nth place; with RECONCILE_FAULT_COMMAND
 * that is run by the shell there instead (to kill libvirtd, say) and the process goes on. */
#pragma once

#ifdef RECONCILE_FAULTS
void fault_passed(const char *name); /* "snapshot: taken": what has been done when it is passed */
#define FAULT(name) fault_passed(name)
#else
#define FAULT(name) ((void)0)
#endif
