/* How does a static program look names up?
 *
 * Where nsswitch.conf names a module (mdns, resolve), glibc loads it from the image, and the image's own C library with it:
 * a second one in one process, of another version, which crashes. So before anything else it is told to use only what is
 * linked into the program: the file of hosts, then the name server. In C, since a constructor in Rust would be unsafe code. */

#include <nss.h>

__attribute__((constructor)) static void look_names_up_alone(void)
{
    __nss_configure_lookup("hosts", "files dns");
}
