/* SPDX-License-Identifier: GPL-2.0 */
/* What is the daemon's goes whole to the device that it reads; each kind has its limit, so that a flood leaves the CPU to
 * the data. */
#ifndef UNWIRED_PUNT_H
#define UNWIRED_PUNT_H

#include "counters.h"

#define SECOND_NS 1000000000ULL

/* How many a second and CPU, and in a burst, of what has no setting: what a stranger can provoke (a few are enough to
 * have the daemon ask), and what the daemon works on more than on a message. */
#define FROM_STRANGERS_PER_SECOND 5000
#define NAT_PROBES_PER_SECOND 1000
#define NAT_UNKNOWN_PER_SECOND 100
#define TO_FRAGMENT_PER_SECOND 5000
#define BURST_NS (SECOND_NS / 10)

/* The generic cell rate algorithm: one clock per CPU, no locks. */
static __always_inline int is_earned(enum punted kind, __u64 interval_ns, __u64 burst_ns)
{
	__u64 now_ns = bpf_ktime_get_ns();
	__u64 *earned_at_ns = bpf_map_lookup_elem(&punt_earned_at_ns, &kind);

	if (!earned_at_ns)
		return 0;
	if (*earned_at_ns < now_ns)
		*earned_at_ns = now_ns;
	if (*earned_at_ns - now_ns > burst_ns)
		return 0;
	*earned_at_ns += interval_ns;
	return 1;
}

static __always_inline int give_to_daemon(const struct settings *settings, enum counter counter)
{
	if (!settings->punt_interface)
		return drop(COUNTER_PUNT_NO_DEVICE);
	count(counter);
	return bpf_redirect(settings->punt_interface, 0);
}

static __always_inline int punt_control(const struct settings *settings)
{
	if (!is_earned(PUNTED_CONTROL, settings->punt_interval_ns, settings->punt_burst_ns))
		return drop(COUNTER_PUNT_LIMITED);
	return give_to_daemon(settings, COUNTER_PUNTED);
}

/* Control in a tunnel that no row accepts: a mobile node that has moved, or a flood of forged binding updates. */
static __always_inline int punt_from_stranger(const struct settings *settings)
{
	if (!is_earned(PUNTED_FROM_STRANGER, SECOND_NS / FROM_STRANGERS_PER_SECOND, BURST_NS))
		return drop(COUNTER_PUNT_LIMITED);
	return give_to_daemon(settings, COUNTER_PUNTED);
}

static __always_inline int punt_nat_probe(const struct settings *settings)
{
	if (!is_earned(PUNTED_NAT_PROBE, SECOND_NS / NAT_PROBES_PER_SECOND, BURST_NS))
		return drop(COUNTER_PUNT_LIMITED);
	return give_to_daemon(settings, COUNTER_PUNTED);
}

/* What comes from a home address by another way than its own: a NAT may have changed its mapping, and the daemon asks. */
static __always_inline int punt_nat_unknown(const struct settings *settings)
{
	if (!is_earned(PUNTED_NAT_UNKNOWN, SECOND_NS / NAT_UNKNOWN_PER_SECOND, BURST_NS))
		return drop(COUNTER_REVERSE_CHECK);
	return give_to_daemon(settings, COUNTER_NAT_UNKNOWN);
}

#endif
