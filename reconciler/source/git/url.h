/* Addresses of git repositories, taken apart and judged. */
#pragma once
#include <glib.h>

typedef enum { GIT_URL_HTTPS, GIT_URL_HTTP, GIT_URL_SSH, GIT_URL_LOCAL } GitUrlKind;

typedef struct {
  GitUrlKind kind;
  char *user, *host; /* NULL: none */
  guint port;        /* 0: the usual one */
  char *path;        /* decoded; GIT_URL_LOCAL: absolute */
} GitUrl;

/* Refuses what it doesn't know and what holds a secret; the message doesn't show that. */
GitUrl *git_url_parse(const char *text, GError **error);
void git_url_free(GitUrl *url);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GitUrl, git_url_free)
gboolean git_url_is_loopback(const GitUrl *url);
/* The address without a user who isn't part of it (https). Free it. */
char *git_url_shown(const char *text);

gboolean git_is_commit_id(const char *text); /* 40 lower-case hexadecimal digits */
/* An error of GIT_SOURCE_ERROR_INVALID. Returns FALSE. */
gboolean git_url_wrong(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
