"""Politeness towards hosts, and the others' protection from them: which host may be asked now, by how many of us.

**Pace.** A host has at most `fetch.per_host` connections and `fetch.per_host_rate` requests a second. A 429 or 503
halves the pace it was asked at, and pauses it for its `Retry-After` or a second; each second with a good answer gives a
tenth back, and a little more.

**Hands.** A claim takes images of one host, so no image waits behind another host's in the same hand. A host that
answers within `SLOW_S` may have all threads; a slow one half of them; one that has not answered yet, or has failed
last, a quarter. All that are not quick have three quarters together, so that the quick ones always find a thread.

**Breaker.** A host that fails ten times in a row (four, when it has never answered) is left alone for
`fetch.host_pause_s`; then one image is let through, a probe. Each failed probe doubles the pause. After as many failed
probes as an image has further attempts the host is given up: what waits for it fails at once with its reason, in every
job there is. Once a minute one probe more is let through, so a job that comes later learns whether the host is back.

**Several machines** divide a host's connections and requests by as many as live (`Hosts.join`, at each heartbeat): the
sum is never more, but for the seconds in which a machine that comes is not known to the others. Where there are more
machines than connections, each host is some machines' alone. What a host's answers teach, each learns by itself.

Waiting for a host costs an image no attempt. What is known of hosts is forgotten at the end of the process.
"""

from imagemill.hosts.host import HostState, Rules
from imagemill.hosts.register import Hosts, Openings

__all__ = ["HostState", "Hosts", "Openings", "Rules"]
