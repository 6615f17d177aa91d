// The kqueue fake: EVFILT_READ and EVFILT_WRITE. Each test names kqueue(2)'s rule.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ring_kqueue/kqueue_test_util.h"

namespace ioring::kqueue {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

Change Filter(const Descriptor& descriptor, int filter, unsigned flags) {
  return Change{
      .ident = static_cast<uintptr_t>(descriptor.get()), .filter = filter, .flags = flags};
}

// The pending error, which this takes away.
int TakeError(const Descriptor& descriptor) {
  int error = 0;
  socklen_t size = sizeof(error);
  return getsockopt(descriptor.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : -1;
}

class FilterTest : public testing::Test {
 protected:
  // The one event there is.
  struct kevent One() {
    const auto events = kq_.Take();
    EXPECT_THAT(events, SizeIs(1));
    return events.empty() ? ToKevent(Change{}) : events[0];
  }

  Kqueue kq_;
};

// "Sockets which have previously been passed to listen() return when there is an incoming
// connection pending. data contains the size of the listen backlog."
TEST_F(FilterTest, AListenerTellsHowManyConnectionsWait) {
  const Listener listener;
  ASSERT_EQ(kq_.Apply(Filter(listener.socket, EVFILT_READ, EV_ADD)), 0);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  const Descriptor first = listener.Connect();
  const Descriptor second = listener.Connect();
  EXPECT_EQ(One().data, 2);
  close(accept(listener.socket.get(), nullptr, nullptr));
  EXPECT_EQ(One().data, 1);
  close(accept(listener.socket.get(), nullptr, nullptr));
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
}

// Trap: one event may stand for many connections; with EV_CLEAR the rest is not reported again.
TEST_F(FilterTest, AListenerWithClearReportsOnceForManyConnections) {
  const Listener listener;
  ASSERT_EQ(kq_.Apply(Filter(listener.socket, EVFILT_READ, EV_ADD | EV_CLEAR)), 0);
  const Descriptor first = listener.Connect();
  const Descriptor second = listener.Connect();
  EXPECT_EQ(One().data, 2);
  close(accept(listener.socket.get(), nullptr, nullptr));
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
}

// "data contains the number of bytes of protocol data available to read."
TEST_F(FilterTest, ASocketTellsHowManyBytesWait) {
  const Ends pair = TcpPair();
  ASSERT_EQ(kq_.Apply(Filter(pair.near, EVFILT_READ, EV_ADD)), 0);
  Send(pair.far, "hello");
  AwaitBytes(pair.near, 5);
  EXPECT_EQ(One().data, 5);
  Send(pair.far, "world!");
  AwaitBytes(pair.near, 11);
  const struct kevent event = One();
  EXPECT_EQ(event.data, 11);
  EXPECT_EQ(event.flags & EV_EOF, 0);
}

// "It is possible for EOF to be returned (indicating the connection is gone) while there is
// still data pending in the socket buffer."
TEST_F(FilterTest, EofComesWithUnreadData) {
  const Ends pair = TcpPair();
  ASSERT_EQ(kq_.Apply(Filter(pair.near, EVFILT_READ, EV_ADD)), 0);
  Send(pair.far, "tail");
  ASSERT_EQ(shutdown(pair.far.get(), SHUT_WR), 0);
  AwaitEnd(pair.near);
  struct kevent event = One();
  EXPECT_EQ(event.flags & EV_EOF, EV_EOF);
  EXPECT_EQ(event.data, 4);
  EXPECT_EQ(event.fflags, 0);
  Receive(pair.near, 4);
  event = One();
  EXPECT_EQ(event.flags & EV_EOF, EV_EOF);
  EXPECT_EQ(event.data, 0);
}

// The peer's FIN closes our reading direction only.
TEST_F(FilterTest, AHalfClosedConnectionCanBeWritten) {
  const Ends pair = TcpPair();
  ASSERT_EQ(shutdown(pair.far.get(), SHUT_WR), 0);
  AwaitEnd(pair.near);
  ASSERT_EQ(kq_.Apply(Filter(pair.near, EVFILT_WRITE, EV_ADD)), 0);
  EXPECT_EQ(One().flags & EV_EOF, 0);
}

// Our own shutdown closes the writing direction: the write filter says so.
TEST_F(FilterTest, AWriterThatWasShutDownIsAtItsEnd) {
  const Ends pair = TcpPair();
  ASSERT_EQ(shutdown(pair.near.get(), SHUT_WR), 0);
  ASSERT_EQ(kq_.Apply(Filter(pair.near, EVFILT_WRITE, EV_ADD)), 0);
  EXPECT_EQ(One().flags & EV_EOF, EV_EOF);
}

// "... the filter also sets EV_EOF in flags, and returns the socket error (if any) in fflags":
// and the error is still there for the call that is to report it.
TEST_F(FilterTest, AResetTellsTheErrorAndLeavesItInTheSocket) {
  Ends pair = TcpPair();
  ASSERT_EQ(kq_.Apply(Filter(pair.near, EVFILT_READ, EV_ADD)), 0);
  Reset(pair);
  const struct kevent event = One();
  EXPECT_EQ(event.flags & EV_EOF, EV_EOF);
  EXPECT_EQ(event.fflags, ECONNRESET);
  char byte = 0;
  EXPECT_EQ(recv(pair.near.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
  // It was taken: what is left is the end.
  EXPECT_EQ(One().fflags, 0);
  EXPECT_EQ(recv(pair.near.get(), &byte, 1, 0), 0);
}

TEST_F(FilterTest, AResetReachesBothFilters) {
  Ends pair = TcpPair();
  ASSERT_EQ(kq_.Apply(Filter(pair.near, EVFILT_READ, EV_ADD | EV_CLEAR)), 0);
  ASSERT_EQ(kq_.Apply(Filter(pair.near, EVFILT_WRITE, EV_ADD | EV_CLEAR)), 0);
  EXPECT_EQ(One().filter, EVFILT_WRITE);
  Reset(pair);
  const auto events = kq_.Take();
  ASSERT_THAT(events, SizeIs(2));
  for (const struct kevent& event : events) {
    EXPECT_EQ(event.flags & EV_EOF, EV_EOF);
    EXPECT_EQ(event.fflags, ECONNRESET);
  }
}

TEST_F(FilterTest, AWriterLearnsOfAReset) {
  Ends pair = TcpPair();
  ASSERT_EQ(kq_.Apply(Filter(pair.near, EVFILT_WRITE, EV_ADD | EV_CLEAR)), 0);
  EXPECT_EQ(One().flags & EV_EOF, 0);
  Reset(pair);
  const struct kevent event = One();
  EXPECT_EQ(event.flags & EV_EOF, EV_EOF);
  EXPECT_EQ(event.fflags, ECONNRESET);
}

// A connect that fails is an EVFILT_WRITE with EV_EOF; SO_ERROR says why.
TEST_F(FilterTest, AFailedConnectIsAnEndOfWriting) {
  const sockaddr_in closed = ClosedPort();
  const Descriptor client = OpenStream();
  ASSERT_FALSE(ConnectAtOnce(client, closed));
  ASSERT_EQ(kq_.Apply(Filter(client, EVFILT_WRITE, EV_ADD | EV_ONESHOT)), 0);
  const struct kevent event = One();
  EXPECT_EQ(event.flags & EV_EOF, EV_EOF);
  EXPECT_EQ(event.fflags, ECONNREFUSED);
  EXPECT_EQ(TakeError(client), ECONNREFUSED);
}

// A socket that is not connected can neither be read nor written; connecting makes it writable.
TEST_F(FilterTest, ASocketBecomesWritableByConnecting) {
  const Listener listener;
  const Descriptor client = OpenStream();
  ASSERT_EQ(kq_.Apply(Filter(client, EVFILT_WRITE, EV_ADD | EV_CLEAR)), 0);
  ASSERT_EQ(kq_.Apply(Filter(client, EVFILT_READ, EV_ADD | EV_CLEAR)), 0);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  ASSERT_FALSE(ConnectAtOnce(client, listener.address));
  const struct kevent event = One();
  EXPECT_EQ(event.filter, EVFILT_WRITE);
  EXPECT_EQ(event.flags & EV_EOF, 0);
  EXPECT_EQ(TakeError(client), 0);
}

// "data will contain the amount of space remaining in the write buffer", and no event without.
TEST_F(FilterTest, AFullSocketIsReportedWhenThereIsRoom) {
  const Ends pair = TcpPair();
  const size_t sent = Fill(pair.near);
  ASSERT_EQ(kq_.Apply(Filter(pair.near, EVFILT_WRITE, EV_ADD | EV_CLEAR)), 0);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  Receive(pair.far, sent);
  EXPECT_GT(One().data, 0);
}

// A level writer that fills up is not reported until there is room again.
TEST_F(FilterTest, ALevelWriterIsReportedWhileThereIsRoom) {
  const Ends pair = UnixPair();
  ASSERT_EQ(kq_.Apply(Filter(pair.near, EVFILT_WRITE, EV_ADD)), 0);
  EXPECT_THAT(kq_.TakeNow(), SizeIs(1));
  EXPECT_THAT(kq_.TakeNow(), SizeIs(1));
  const size_t sent = Fill(pair.near);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  Receive(pair.far, sent);
  EXPECT_THAT(kq_.Take(), SizeIs(1));
}

// NOTE_LOWAT: "a per-filter low water mark".
TEST_F(FilterTest, ALowWaterMarkHoldsEventsBack) {
  const Ends pair = TcpPair();
  Change change = Filter(pair.near, EVFILT_READ, EV_ADD);
  change.fflags = NOTE_LOWAT;
  change.data = 10;
  ASSERT_EQ(kq_.Apply(change), 0);
  Send(pair.far, "12345");
  AwaitBytes(pair.near, 5);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  Send(pair.far, "1234567890");
  AwaitBytes(pair.near, 15);
  EXPECT_EQ(One().data, 15);
}

// The end is reported in spite of the mark.
TEST_F(FilterTest, ALowWaterMarkDoesNotHoldTheEndBack) {
  Ends pair = TcpPair();
  Change change = Filter(pair.near, EVFILT_READ, EV_ADD);
  change.fflags = NOTE_LOWAT;
  change.data = 10;
  ASSERT_EQ(kq_.Apply(change), 0);
  Send(pair.far, "12345");
  pair.far.Close();
  AwaitEnd(pair.near);
  const struct kevent event = One();
  EXPECT_EQ(event.flags & EV_EOF, EV_EOF);
  EXPECT_EQ(event.data, 5);
}

// "Fifos, Pipes: data contains the number of bytes available. When the last writer
// disconnects, the filter will set EV_EOF."
TEST_F(FilterTest, APipeTellsBytesAndEnd) {
  Ends pipe = PipePair();
  ASSERT_EQ(kq_.Apply(Filter(pipe.near, EVFILT_READ, EV_ADD | EV_CLEAR)), 0);
  Send(pipe.far, "abc");
  EXPECT_EQ(One().data, 3);
  pipe.far.Close();
  const struct kevent event = One();
  EXPECT_EQ(event.flags & EV_EOF, EV_EOF);
  EXPECT_EQ(event.data, 3);
}

// "The filter will set EV_EOF when the reader disconnects."
TEST_F(FilterTest, APipesWriterLearnsThatItsReaderIsGone) {
  Ends pipe = PipePair();
  ASSERT_EQ(kq_.Apply(Filter(pipe.far, EVFILT_WRITE, EV_ADD | EV_CLEAR)), 0);
  EXPECT_GT(One().data, 0);
  pipe.near.Close();
  EXPECT_EQ(One().flags & EV_EOF, EV_EOF);
}

// FreeBSD's and macOS's pipes: too late to attach a writer.
TEST_F(FilterTest, AWriterOfAPipeWithoutReaderCannotBeAdded) {
  Ends pipe = PipePair();
  pipe.near.Close();
  EXPECT_EQ(kq_.Apply(Filter(pipe.far, EVFILT_WRITE, EV_ADD)), EPIPE);
  EXPECT_EQ(kq_.Apply(Filter(pipe.far, EVFILT_WRITE, EV_DELETE)), ENOENT);
}

TEST_F(FilterTest, AUnixSocketTellsBytesAndEnd) {
  Ends pair = UnixPair();
  ASSERT_EQ(kq_.Apply(Filter(pair.near, EVFILT_READ, EV_ADD)), 0);
  Send(pair.far, "abcd");
  EXPECT_EQ(One().data, 4);
  pair.far.Close();
  const struct kevent event = One();
  EXPECT_EQ(event.flags & EV_EOF, EV_EOF);
  EXPECT_EQ(event.data, 4);
}

TEST_F(FilterTest, ADatagramSocketReportsEmptyDatagramsToo) {
  const Ends pair = UnixPair(SOCK_DGRAM);
  ASSERT_EQ(kq_.Apply(Filter(pair.near, EVFILT_READ, EV_ADD)), 0);
  ASSERT_EQ(send(pair.far.get(), "12345", 5, 0), 5);
  ASSERT_EQ(send(pair.far.get(), "", 0, 0), 0);
  EXPECT_EQ(One().data, 5);
  char bytes[16];
  ASSERT_EQ(recv(pair.near.get(), bytes, sizeof(bytes), 0), 5);
  const struct kevent event = One();
  EXPECT_EQ(event.data, 0);
  EXPECT_EQ(event.flags & EV_EOF, 0);
}

// "Vnodes: Returns when the file pointer is not at the end of file. data contains the offset
// from current position to end of file." "[EVFILT_WRITE] is not supported for vnodes."
TEST_F(FilterTest, AFileTellsTheDistanceToItsEnd) {
  const std::string path = testing::TempDir() + "/kqueue_fake_file";
  const Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  ASSERT_GE(file.get(), 0);
  Send(file, "12345");
  ASSERT_EQ(lseek(file.get(), 2, SEEK_SET), 2);
  ASSERT_EQ(kq_.Apply(Filter(file, EVFILT_READ, EV_ADD)), 0);
  EXPECT_EQ(One().data, 3);
  ASSERT_EQ(lseek(file.get(), 0, SEEK_END), 5);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  EXPECT_EQ(kq_.Apply(Filter(file, EVFILT_WRITE, EV_ADD)), EINVAL);
  std::remove(path.c_str());
}

// A kqueue is a descriptor: it can be polled, and be watched by another kqueue.
TEST_F(FilterTest, AKqueueCanBeWatched) {
  const Ends pair = TcpPair();
  ASSERT_EQ(kq_.Apply(Filter(pair.near, EVFILT_READ, EV_ADD | EV_CLEAR)), 0);
  const Kqueue outer;
  ASSERT_EQ(
      outer.Apply(Change{
          .ident = static_cast<uintptr_t>(kq_.get()), .filter = EVFILT_READ, .flags = EV_ADD}),
      0);
  pollfd request{kq_.get(), POLLIN, 0};
  EXPECT_EQ(poll(&request, 1, 0), 0);
  EXPECT_THAT(outer.TakeNow(), IsEmpty());
  Send(pair.far, "abc");
  EXPECT_THAT(outer.Take(), SizeIs(1));
  EXPECT_EQ(poll(&request, 1, 0), 1);
  EXPECT_THAT(kq_.Take(), SizeIs(1));
  EXPECT_THAT(outer.TakeNow(), IsEmpty());
}

}  // namespace
}  // namespace ioring::kqueue
