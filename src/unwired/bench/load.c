/* SPDX-License-Identifier: Apache-2.0
 *
 * The load of `unwired bench signalling`, and its ceiling in C.
 *
 *   load send FILE SIZE WINDOW SECONDS DESTINATION INTERFACE
 *     FILE is a row of whole IPv6 packets of SIZE bytes each. Sends them with at most WINDOW unanswered for SECONDS or
 *     until the row ends, counts the answers on INTERFACE (binding acknowledgements by status, UDP datagrams) and
 *     prints one JSON object.
 *   load echo ADDRESS PORT
 *     Answers each UDP datagram with itself until it is killed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <fcntl.h>
#include <unistd.h>

#define BATCH 64
#define FRAME 512
#define PATIENCE_MS 200
#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

enum { ROUTING = 43, UDP = 17, MOBILITY = 135, ACKNOWLEDGEMENT = 6 };
enum answer { NONE, ACCEPTED, REFUSED };

static void fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec + at.tv_nsec * 1e-9;
}

/* A type 2 routing header is 24 bytes; the mobility header's type is its third byte, the status of an acknowledgement
 * its seventh (RFC 6275 sections 6.4 and 6.1.8). Statuses from 128 refuse. */
static enum answer judge(const unsigned char *packet, int length)
{
	if (length >= 48 && packet[6] == UDP)
		return ACCEPTED;
	if (length < 72 || packet[6] != ROUTING || packet[40] != MOBILITY || packet[66] != ACKNOWLEDGEMENT)
		return NONE;
	return packet[70] < 128 ? ACCEPTED : REFUSED;
}

static int open_answers(const char *interface)
{
	struct sockaddr_ll here = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IPV6) };
	int one = 1, room = 1 << 26;
	int answers = socket(AF_PACKET, SOCK_DGRAM, 0);

	here.sll_ifindex = if_nametoindex(interface);
	if (answers < 0 || !here.sll_ifindex)
		fail(interface);
	setsockopt(answers, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (setsockopt(answers, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    bind(answers, (struct sockaddr *)&here, sizeof(here)))
		fail("packet socket");
	return answers;
}

static void prepare(struct mmsghdr *messages, struct iovec *vectors, char *buffers, struct sockaddr_in6 *to)
{
	memset(messages, 0, sizeof(*messages) * BATCH);
	for (int index = 0; index < BATCH; index++) {
		vectors[index].iov_base = buffers + index * FRAME;
		vectors[index].iov_len = FRAME;
		messages[index].msg_hdr.msg_iov = &vectors[index];
		messages[index].msg_hdr.msg_iovlen = 1;
		messages[index].msg_hdr.msg_name = to;
		messages[index].msg_hdr.msg_namelen = to ? sizeof(*to) : 0;
	}
}

static int run_send(char **given)
{
	static char buffers[BATCH * FRAME];
	static struct mmsghdr outgoing[BATCH], incoming[BATCH];
	static struct iovec out_vectors[BATCH], in_vectors[BATCH];
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	int size = atoi(given[1]), window = atoi(given[2]), room = 1 << 26;
	double seconds = atof(given[3]), start, end, last;
	long sent = 0, accepted = 0, refused = 0, lost = 0, total;
	struct stat about;
	char *packets;
	int file = open(given[0], O_RDONLY);

	if (file < 0 || fstat(file, &about))
		fail(given[0]);
	total = about.st_size / size;
	packets = mmap(NULL, about.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
	if (packets == MAP_FAILED || inet_pton(AF_INET6, given[4], &to.sin6_addr) != 1)
		fail(given[4]);
	int answers = open_answers(given[5]);
	int sender = socket(AF_INET6, SOCK_RAW, IPPROTO_RAW);
	if (sender < 0)
		fail("raw socket");
	setsockopt(sender, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	prepare(outgoing, out_vectors, buffers, &to);
	prepare(incoming, in_vectors, buffers, NULL);
	start = last = now();
	end = start + seconds;
	for (;;) {
		long outstanding = sent - accepted - refused - lost;
		int burst = now() >= end ? 0 : window - outstanding;

		if (burst > BATCH)
			burst = BATCH;
		if (burst > total - sent)
			burst = total - sent;
		if (!burst && !outstanding)
			break;
		for (int index = 0; index < burst; index++) {
			out_vectors[index].iov_base = packets + (sent + index) * size;
			out_vectors[index].iov_len = size;
		}
		if (burst > 0) {
			int done = sendmmsg(sender, outgoing, burst, 0);

			if (done < 0 && errno != ENOBUFS && errno != EAGAIN)
				fail("send");
			sent += done > 0 ? done : 0;
		}
		int count = recvmmsg(answers, incoming, BATCH, MSG_DONTWAIT, NULL);
		for (int index = 0; index < count; index++) {
			enum answer answer = judge(in_vectors[index].iov_base, incoming[index].msg_len);

			accepted += answer == ACCEPTED;
			refused += answer == REFUSED;
			if (answer != NONE)
				last = now();
		}
		if (count <= 0 && burst <= 0) {
			struct pollfd waiting = { .fd = answers, .events = POLLIN };

			if (!poll(&waiting, 1, PATIENCE_MS))
				lost = sent - accepted - refused;
		}
	}
	printf("{\"sent\": %ld, \"accepted\": %ld, \"refused\": %ld, \"lost\": %ld, \"elapsed_s\": %.6f}\n", sent, accepted,
	       refused, lost, last - start);
	return 0;
}

static void run_echo(char **given)
{
	struct sockaddr_in6 here = { .sin6_family = AF_INET6, .sin6_port = htons(atoi(given[1])) };
	int room = 1 << 26, echo = socket(AF_INET6, SOCK_DGRAM, 0);
	char data[2048];

	if (inet_pton(AF_INET6, given[0], &here.sin6_addr) != 1 || bind(echo, (struct sockaddr *)&here, sizeof(here)))
		fail(given[0]);
	setsockopt(echo, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct sockaddr_in6 peer;
		socklen_t length = sizeof(peer);
		ssize_t got = recvfrom(echo, data, sizeof(data), 0, (struct sockaddr *)&peer, &length);

		if (got >= 0)
			sendto(echo, data, got, 0, (struct sockaddr *)&peer, length);
	}
}

int main(int count, char **given)
{
	if (count == 8 && !strcmp(given[1], "send"))
		return run_send(given + 2);
	if (count == 4 && !strcmp(given[1], "echo"))
		run_echo(given + 2);
	fputs("load send FILE SIZE WINDOW SECONDS DESTINATION INTERFACE | load echo ADDRESS PORT\n", stderr);
	return 2;
}
