/* Places where tests kill the process, numbered in the order in which a run passes them. Only in a
 * build with RECONCILE_FAULTS (presets asan and fuzz); elsewhere FAULT is nothing.
 *
 * RECONCILE_FAULT_LOG=FILE appends the name of each place that is passed.
 * RECONCILE_FAULT_AT=N ends the process by SIGKILL at the Nth place, or at that of this name (NAME#2: when
 * it is passed a second time); with RECONCILE_FAULT_COMMAND that is run by the shell there instead (to kill libvirtd, say)
 * and the process goes on. */
#pragma once
#include <glib.h>

/* RECONCILE_PATIENCE=SECONDS: between two questions whether the other side lives.
 * RECONCILE_NOW=SECONDS is the time that plans are made for, instead of the clock's. */
#ifdef RECONCILE_FAULTS
gint64 fault_now(gint64 now /* seconds since 1970 */);
guint fault_patience(guint seconds);
void fault_passed(const char *name); /* "snapshot: taken": what has been done when it is passed */
void fault_passed_in(const char *name, const char *where);
#define FAULT(name) fault_passed(name)
#define FAULT_IN(name, where) fault_passed_in(name, where) /* "NAME: WHERE", of an action */
#else
#define fault_now(now) (now)
#define fault_patience(seconds) (seconds)
#define FAULT(name) ((void)0)
#define FAULT_IN(name, where) ((void)0)
#endif
