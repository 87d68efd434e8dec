/* Passwords of remote displays: read from libvirt's secrets at the moment of use, put into the
 * document that is handed to libvirt, never kept, shown or logged. */
#pragma once
#include "reconciler/act/common.h"

/* Sets or removes the password in the <graphics> elements of a domain's document as the spec
 * says; one that neither it nor `applied` (may be NULL) gave stays. The document has to be read
 * with VIR_DOMAIN_XML_SECURE. ret_changed (set to TRUE only) may be NULL. */
gboolean graphics_passwords(const ActionContext *context, xmlNode *domain, const VmSpec *spec, const VmSpec *applied,
                            gboolean *ret_changed, GError **error);
/* The same for one display. */
gboolean graphics_password(const ActionContext *context, xmlNode *graphics, const GraphicsSpec *spec,
                           const GraphicsSpec *applied, gboolean *ret_changed, GError **error);
/* Whether the host has all secrets that the displays name; none is read. */
gboolean graphics_secrets_known(virConnectPtr connect, const VmSpec *spec, GError **error);
