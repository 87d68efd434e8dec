/* Git repositories as a source of desired state. A bare mirror of the repository is kept in the
 * state directory; files are read out of the tree of one commit, never checked out. What talks to
 * the network runs in a process of its own (git/fetch.h), which can be ended at any time. Git's
 * own configuration (~/.gitconfig) isn't read; ssh is OpenSSH's, with its ~/.ssh/config. */
#pragma once
#include <gio/gio.h>

#include "schema/document.h"

typedef enum {
  SIGNATURES_NONE,
  SIGNATURES_TIP, /* of the commit, or of the annotated tag that `ref` names */
  SIGNATURES_ALL, /* of each commit since `last_applied`; without that, of the tip */
} SignatureRule;

typedef struct {
  const char *url;  /* https://, http://, ssh://, file://, user@host:path or an absolute path; without a password */
  const char *ref;  /* branch, tag, whole commit id, or refs/…; NULL or "HEAD": the remote's HEAD */
  const char *path; /* directory or file inside the repository; NULL: its root */
  const char *mirror_dir;        /* mirrors are kept below it, one for each url; made where it is absent */
  const char *ssh_key;           /* file; NULL: the agent's, then those of ~/.ssh */
  const char *ssh_known_hosts;   /* file; NULL: ~/.ssh/known_hosts and the system's */
  const char *ca_file;           /* https: PEM file; NULL: the system's */
  const char *user, *token_file; /* https; user NULL: "git"; token_file NULL: none is sent */
  SignatureRule signatures;
  const char *allowed_signers;   /* SSH signatures: file as in ssh-keygen(1), ALLOWED SIGNERS */
  const char *keyring;           /* OpenPGP signatures: file as gpg --export writes it, or a .kbx */
  const char *last_applied;      /* commit id; NULL: none */
  guint silence_seconds;         /* the longest that a server may say nothing; 0: 60 */
} GitSource;

#define GIT_SOURCE_ERROR (git_source_error_quark())
GQuark git_source_error_quark(void);
typedef enum {
  GIT_SOURCE_ERROR_INVALID,     /* url, ref or path can't be */
  GIT_SOURCE_ERROR_UNREACHABLE, /* the server doesn't answer or refuses us: try again later */
  GIT_SOURCE_ERROR_ABSENT,      /* there is no such ref, commit or path */
  GIT_SOURCE_ERROR_UNSIGNED,    /* a signature is missing or isn't good: the message names the commit */
  GIT_SOURCE_ERROR_MIRROR,      /* the mirror can't be read or written */
  GIT_SOURCE_ERROR_CANCELLED,
} GitSourceError;

/* Fills url, ref and path from GIT-URL[#REF[:PATH]]; the rest stays as it is. They belong to `texts`,
 * an array that frees its items. A relative path of a local repository becomes absolute. */
gboolean git_source_parse(const char *text, GitSource *ret_source, GPtrArray *texts, GError **error);
/* Whether url, ref, path and the rest can be; the others below begin with it. Touches nothing. */
gboolean git_source_check(const GitSource *source, GError **error);
/* source->ref, NULL where that is HEAD. */
const char *git_source_ref(const GitSource *source);
/* "URL#REF:PATH" without what isn't given, as kept in the record. Free it. */
char *git_source_identity(const GitSource *source);

/* Network: brings the mirror up to date and resolves the ref. A corrupt mirror is made anew; a
 * failed update leaves the old one. Waits for another process that updates it. Free the commit id. */
char *git_source_update(const GitSource *source, GCancellable *cancel, GError **error);
/* No network: the declarations in one commit's tree, by the rules of source_files.h; all or
 * nothing. Warns where `revision` doesn't descend from last_applied. */
Desired *git_source_read(const GitSource *source, const char *revision, Diagnostics *diagnostics, GError **error);
/* No network: whether `revision` is signed as source->signatures asks for. */
gboolean git_source_verify(const GitSource *source, const char *revision, GError **error);
