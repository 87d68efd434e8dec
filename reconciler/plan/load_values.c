#include "reconciler/plan/load_values.h"

#include "schema/value.h"

G_DEFINE_QUARK(reconcile-plan-error, plan_error)

gboolean load_invalid(GError **error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_propagate_error(error, g_error_new_valist(PLAN_ERROR, PLAN_ERROR_INVALID, format, arguments));
  va_end(arguments);
  return FALSE;
}

gboolean load_text(const json_t *object, const char *key, gboolean required, char **ret_text, GError **error) {
  const json_t *value = json_object_get(object, key);
  if (!value || json_is_null(value))
    return required ? load_invalid(error, "%s is missing", key) : TRUE;
  if (!json_is_string(value))
    return load_invalid(error, "%s must be a string", key);
  *ret_text = g_strdup(json_string_value(value));
  return TRUE;
}

gboolean load_flag(const json_t *object, const char *key, gboolean *ret_value, GError **error) {
  const json_t *value = json_object_get(object, key);
  if (!value)
    return TRUE;
  if (!json_is_boolean(value))
    return load_invalid(error, "%s must be true or false", key);
  *ret_value = json_is_true(value);
  return TRUE;
}

gboolean load_limit(const json_t *object, const char *key, guint *ret_limit, GError **error) {
  const json_t *value = json_object_get(object, key);
  if (!value)
    return TRUE;
  if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > 64)
    return load_invalid(error, "%s must be a number from 1 to 64", key);
  *ret_limit = (guint)json_integer_value(value);
  return TRUE;
}

gboolean load_word(const json_t *object, const char *key, const char *const *words, int *ret_index, GError **error) {
  g_autofree char *word = NULL;
  if (!load_text(object, key, TRUE, &word, error))
    return FALSE;
  int index = enum_find(words, word);
  if (index < 0)
    return load_invalid(error, "unknown %s \"%s\": the plan is of another version of reconcile, or damaged", key, word);
  *ret_index = index;
  return TRUE;
}

gboolean load_texts(const json_t *object, const char *key, GPtrArray *texts, GError **error) {
  const json_t *array = json_object_get(object, key);
  if (!array)
    return TRUE;
  if (!json_is_array(array))
    return load_invalid(error, "%s must be a list", key);
  for (gsize i = 0; i < json_array_size(array); i++) {
    const json_t *item = json_array_get(array, i);
    if (!json_is_string(item))
      return load_invalid(error, "%s[%zu] must be a string", key, i);
    g_ptr_array_add(texts, g_strdup(json_string_value(item)));
  }
  return TRUE;
}
