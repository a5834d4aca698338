// Loaded into mpirun and what it starts on one machine (LD_PRELOAD). Open MPI and MPICH listen for their own processes on every address
// of the machine, without a way to change it; with this they listen on the loopback address, where only this machine reaches them.

#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

namespace {

using Bind = int (*)(int, const sockaddr *, socklen_t);

int BindTo(Bind bind, int socket, const void *address, socklen_t length) {
  return bind(socket, static_cast<const sockaddr *>(address), length);
}

}  // namespace

extern "C" int bind(int socket, const sockaddr *address, socklen_t length) {
  static const Bind system = reinterpret_cast<Bind>(dlsym(RTLD_NEXT, "bind"));
  if (address->sa_family == AF_INET && length >= sizeof(sockaddr_in)) {
    sockaddr_in own;
    std::memcpy(&own, address, sizeof own);
    if (own.sin_addr.s_addr == htonl(INADDR_ANY)) {
      own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      return BindTo(system, socket, &own, sizeof own);
    }
  }
  if (address->sa_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
    sockaddr_in6 own;
    std::memcpy(&own, address, sizeof own);
    if (std::memcmp(&own.sin6_addr, &in6addr_any, sizeof in6addr_any) == 0) {
      own.sin6_addr = in6addr_loopback;
      return BindTo(system, socket, &own, sizeof own);
    }
  }
  return system(socket, address, length);
}
