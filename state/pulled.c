#include "state/pulled.h"

char *pulled_namespace(const char *target) { return g_strconcat(PULLED_NAMESPACE, target, NULL); }
