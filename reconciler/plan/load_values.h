/* Values of a saved plan's JSON, each of the type that it must have. A key that isn't there leaves the value untouched. */
#pragma once
#include "reconciler/plan/json.h"

/* Sets the error, and returns FALSE. */
gboolean load_invalid(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* null is "not given" too. */
gboolean load_text(const json_t *object, const char *key, gboolean required, char **ret_text, GError **error);
gboolean load_texts(const json_t *object, const char *key, GPtrArray *texts, GError **error);
gboolean load_flag(const json_t *object, const char *key, gboolean *ret_value, GError **error);
/* As many as a host's limit may be. */
gboolean load_limit(const json_t *object, const char *key, guint *ret_limit, GError **error);
/* The index of a required word. */
gboolean load_word(const json_t *object, const char *key, const char *const *words, int *ret_index, GError **error);
