#include "reconciler/service/whole_file.h"

#include <string.h>

gboolean whole_file_write(const char *path, const char *text, int mode, GError **error) {
  g_autoptr(GError) trouble = NULL;
  if (g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, mode, &trouble))
    return TRUE;
  const char *why = strrchr(trouble->message, ':'); /* what the system says comes last */
  g_set_error(error, trouble->domain, trouble->code, "%s%s", path, why ? why : "");
  return FALSE;
}
