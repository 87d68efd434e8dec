#include "schema/digest.h"

#include <openssl/evp.h>

struct Digest {
  EVP_MD_CTX *context;
};

static gpointer fetch(gpointer data G_GNUC_UNUSED) { return EVP_MD_fetch(NULL, "SHA256", NULL); }

/* Looking it up costs as much as the digest of two kilobytes. */
static const EVP_MD *sha256(void) {
  static GOnce once = G_ONCE_INIT;
  return g_once(&once, fetch, NULL);
}

Digest *digest_new(void) {
  Digest *digest = g_new(Digest, 1);
  digest->context = EVP_MD_CTX_new();
  if (EVP_DigestInit_ex(digest->context, sha256(), NULL) != 1)
    g_error("libcrypto has no SHA-256"); /* a broken installation */
  return digest;
}

void digest_free(Digest *digest) {
  if (digest == NULL)
    return;
  EVP_MD_CTX_free(digest->context);
  g_free(digest);
}

void digest_update(Digest *digest, gconstpointer data, gsize length) { EVP_DigestUpdate(digest->context, data, length); }

char *digest_hex(Digest *digest) {
  guchar bytes[EVP_MAX_MD_SIZE];
  guint length = 0;
  EVP_DigestFinal_ex(digest->context, bytes, &length);
  static const char digits[] = "0123456789abcdef";
  char *text = g_malloc(2 * length + 1);
  for (guint i = 0; i < length; i++) {
    text[2 * i] = digits[bytes[i] >> 4];
    text[2 * i + 1] = digits[bytes[i] & 15];
  }
  text[2 * length] = '\0';
  return text;
}

char *digest_of_data(gconstpointer data, gsize length) {
  g_autoptr(Digest) digest = digest_new();
  digest_update(digest, data, length);
  return digest_hex(digest);
}
