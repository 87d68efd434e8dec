/* Names on a host that are this program's own: no file may use them. */
#pragma once

#define HOST_LOCK_NAME "reconcile-lock"   /* a domain: the lock on a host of a fleet (reconciler/act/host_lock.h) */
#define ASIDE_POOL_NAME "reconcile-aside" /* a transient pool that actions make of a directory for a moment (reconciler/act/aside.h) */
