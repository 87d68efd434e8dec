/* Preloaded into a libvirtd, has it tell another version of libvirt: the number in the file VERSION_FILE of its host, as long
 * as that is there. */
#include <dlfcn.h>
#include <stdio.h>

#define VERSION_FILE "/run/libvirt-version"

int virConnectGetLibVersion(void *connect, unsigned long *version);

int virConnectGetLibVersion(void *connect, unsigned long *version) {
  int (*real)(void *, unsigned long *) = (int (*)(void *, unsigned long *))dlsym(RTLD_NEXT, "virConnectGetLibVersion");
  FILE *file = fopen(VERSION_FILE, "r");
  if (!file)
    return real(connect, version);
  int got = fscanf(file, "%lu", version);
  fclose(file);
  return got == 1 ? 0 : -1;
}
