/* Where a path of this host leads to, through links: what doesn't exist yet is added to what does. */
#pragma once
#include <glib.h>

/* path: absolute. Never NULL; free it. What is found can be another thing a moment later. */
char *real_path(const char *path);
