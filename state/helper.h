/* Helper domains, in which disks of stopped machines are worked on (reconciler/act/offline.h): how they
 * are named and recognised. Nobody's machines: observation leaves them out and notes them at theirs. */
#pragma once
#include "state/xml.h"

char *helper_name(const char *machine); /* "web-1-reconcile" */
/* Writes into a new definition whose helper it is: <reconcile:helper for='web-1'/>. */
void helper_mark(xmlNode *domain, const char *machine);
/* Whose helper a domain is; NULL: it is none. */
char *helper_owner(xmlNode *domain);
