/* See secret.h. */
#include "reconciler/act/secret.h"

/* A secret is known by its UUID, or by what it is for: usage names are unique per usage type,
 * so a name that two types have is ambiguous. */
static virSecretPtr find_secret(virConnectPtr connect, const char *name, GError **error) {
  virSecretPtr found = virSecretLookupByUUIDString(connect, name);
  if (found)
    return found;
  for (int type = 0; type <= VIR_SECRET_USAGE_TYPE_VTPM; type++) {
    virSecretPtr secret = virSecretLookupByUsage(connect, type, name);
    if (!secret && virGetLastErrorCode() != VIR_ERR_NO_SECRET) {
      libvirt_fail(error, "cannot look up secret %s", name);
    } else if (secret && found) {
      act_refuse(error, "several secrets have the usage name %s; name the right one by its UUID", name);
      virSecretFree(secret);
    } else {
      found = secret ? secret : found;
      continue;
    }
    vir_secret_release(found);
    return NULL;
  }
  if (!found)
    act_fail(error, "there is no libvirt secret with the usage name %s; define it with virsh secret-define and "
             "secret-set-value", name);
  return found;
}

static void forget(char *value) {
  if (value)
    explicit_bzero(value, strlen(value));
  g_free(value);
}

/* The value as text, to be given to forget(). */
static char *secret_text(virConnectPtr connect, const char *name, GError **error) {
  g_autoptr(VirSecret) secret = find_secret(connect, name, error);
  if (!secret)
    return NULL;
  size_t length;
  unsigned char *value = virSecretGetValue(secret, &length, 0);
  if (!value) {
    libvirt_fail(error, "cannot read secret %s", name);
    return NULL;
  }
  char *text = NULL;
  if (length && g_utf8_validate((const char *)value, (gssize)length, NULL))
    text = g_strndup((const char *)value, length);
  else
    act_fail(error, "secret %s can't be a password: its value isn't text", name);
  explicit_bzero(value, length);
  free(value);
  for (const char *at = text; at && *at; at++)
    if ((guchar)*at < ' ') {
      forget(text);
      act_fail(error, "secret %s can't be a password: its value has control characters (a newline at its end?)", name);
      return NULL;
    }
  return text;
}

gboolean graphics_password(const ActionContext *context, xmlNode *graphics, const GraphicsSpec *spec,
                           const GraphicsSpec *applied, gboolean *ret_changed, GError **error) {
  xmlChar *now = xmlGetNoNsProp(graphics, BAD_CAST "passwd");
  char *wanted = g_strdup((const char *)now);
  gboolean fine = TRUE;
  if (spec && given(spec, GraphicsSpec, passwordSecret)) {
    forget(wanted);
    virConnectPtr connect = connection_get(context->connection, error);
    wanted = connect ? secret_text(connect, spec->passwordSecret, error) : NULL;
    fine = wanted != NULL;
  } else if (applied && given(applied, GraphicsSpec, passwordSecret)) {
    forget(wanted);
    wanted = NULL;
  }
  if (fine && g_strcmp0(wanted, (const char *)now) != 0) {
    if (wanted)
      xmlSetProp(graphics, BAD_CAST "passwd", BAD_CAST wanted);
    else
      xmlUnsetProp(graphics, BAD_CAST "passwd");
    if (ret_changed)
      *ret_changed = TRUE;
  }
  forget(wanted);
  if (now)
    explicit_bzero(now, strlen((const char *)now));
  xmlFree(now);
  return fine;
}

static const GraphicsSpec *of_type(const VmSpec *spec, const char *type) {
  if (!spec || !given(spec, VmSpec, graphics))
    return NULL;
  return list_find(&GraphicsSpec_table, spec->graphics, table_key_field(&GraphicsSpec_table), type);
}

gboolean graphics_passwords(const ActionContext *context, xmlNode *domain, const VmSpec *spec, const VmSpec *applied,
                            gboolean *ret_changed, GError **error) {
  g_autoptr(GPtrArray) all = xml_path_all(xml_path("devices/graphics"), domain);
  for (guint i = 0; i < all->len; i++) {
    g_autofree char *type = xml_path_get(xml_path("@type"), all->pdata[i]);
    if (type && !graphics_password(context, all->pdata[i], of_type(spec, type), of_type(applied, type), ret_changed, error))
      return FALSE;
  }
  return TRUE;
}

gboolean graphics_secrets_known(virConnectPtr connect, const VmSpec *spec, GError **error) {
  for (guint i = 0; given(spec, VmSpec, graphics) && i < spec->graphics->len; i++) {
    const GraphicsSpec *display = spec->graphics->pdata[i];
    g_autoptr(VirSecret) secret = given(display, GraphicsSpec, passwordSecret) ? find_secret(connect, display->passwordSecret, error) : NULL;
    if (secret == NULL && given(display, GraphicsSpec, passwordSecret))
      return FALSE;
  }
  return TRUE;
}
