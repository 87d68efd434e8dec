/* What libvirt is doing with a domain: a migration, a save. */
#pragma once
#include <libvirt/libvirt.h>
#include "state/actual.h"

/* FALSE, and a job without operation: nothing, or it can't tell. */
gboolean read_job(virDomainPtr domain, ActualJob *ret_job);
