/* Helper domains, in which disks of stopped machines are worked on (reconciler/act/offline.h): how they
 * are named and recognised. Nobody's machines: observation leaves them out and notes them at theirs. */
#pragma once
#include "schema/reserved.h"
#include "state/xml.h"

char *helper_name(const char *machine); /* "web-1-reconcile" */
/* Writes into a new definition whose helper it is: <reconcile:helper for='web-1'/>. */
void helper_mark(xmlNode *domain, const char *machine);
/* Whose helper a domain is; NULL: it is none. The lock (reconciler/act/host_lock.h) is its own. */
char *helper_owner(xmlNode *domain);

/* The domain that is a lock on its host, and who holds it: <reconcile:lock holder='…'/>. NULL: it is none. */
void helper_mark_lock(xmlNode *domain, const char *holder);
char *helper_lock_holder(xmlNode *domain);
