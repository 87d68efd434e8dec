/* Whether libvirt is done with what it was asked to do with a machine. Its daemon goes on with a call whose client has
 * gone: what isn't there, or isn't whole, may be in the making. */
#pragma once
#include "reconciler/act/common.h"

/* Refused while libvirt has a job on a machine that runs. (Of one that is off it answers nothing meanwhile.) Short ones,
 * as others' questions are, are waited for. */
gboolean machine_check_idle(const ActionContext *context, virDomainPtr domain, GError **error);
