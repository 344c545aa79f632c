/*
 * owner.pml: what must hold while a partition goes from owner to owner.
 *
 * A gateway publishes batches on its lane, into the input queue. Owners follow each
 * other; they take the batches, append them to the log, deliver them to a gateway
 * that follows the room, and ack the input. At any moment
 *   - an owner's connection is cut: the lock goes to the next one, input that was not
 *     acked is back in its place, and what is on its way to the log lands late or never;
 *   - the publisher's connection breaks: the batch in doubt may be in the queue, be
 *     lost, or arrive behind younger ones; it is sent again under its number;
 *   - the broker refuses an append although it is in the log: the owner sends it again;
 *   - a delivery is dropped from the gateway's queue.
 *
 * Asserted: the log holds every batch once, in order, under offsets without a hole and
 * one epoch. The gateway is given every record once, in order, and none that is not in
 * the log. Whenever all comes to rest, every batch was answered, is in the log and was
 * delivered.
 *
 * Each of these guards can be left out, with -DNO_..., and a search must find the harm:
 *   NO_TERM       readers pass over what a lower term appended behind a marker
 *   NO_REPLAY     the owner reads the log up to its own marker, not only before it
 *   NO_LANE       owner and readers compare a batch with its lane's last number
 *   NO_ONE_CONN   log and deliveries use the connection of the lock
 *   NO_LATE_ACK   the input is acked after the log's confirm
 *   NO_LATE_SEND  the gateway is sent what the log has confirmed
 *   NO_LINK       the gateway looks for holes in the numbers of its link
 *   NO_RESEND     a batch in doubt is sent again before the next one
 *
 * Why so little is enough:
 *   - The log is not kept, only what its readers make of it. To read up to one's own
 *     marker is to copy that when the marker lands.
 *   - A process is a tenure, whoever holds it. An owner whose connection was cut may
 *     not know it for a while, but it reaches nobody: it is forgotten at once.
 *   - One append is in flight in a tenure. A refused one that did not land is sent
 *     again: nothing has changed.
 *   - A message of another link than the present one is dropped unread, whenever it
 *     comes: here, when the link changes.
 *   - A batch is one record of the one room, so that its number is the offset it must
 *     get.
 */
#ifndef BATCHES
#define BATCHES 3
#define TENURES 3 /* times that somebody becomes owner; the last one stays */
#define QUEUE 3   /* batches that the input queue has space for; it refuses more */
#endif

#ifdef NO_TERM
#define IS_OF_TERM(term) true
#else
#define IS_OF_TERM(term) (term == log_term)
#endif
#ifdef NO_LANE
#define IS_SEEN(batch, lane) false
#else
#define IS_SEEN(batch, lane) (batch <= lane)
#endif
#ifdef NO_ONE_CONN
#define CAN_SPEAK true
#else
#define CAN_SPEAK IS_OWNER
#endif
#define IS_OWNER (me == owner)
#ifdef NO_LINK
#define MISSES_NUMBER false
#else
#define MISSES_NUMBER has_hole
#endif

mtype = { NONE };

/* The log, as every reader understands it. */
byte log_term, log_lane, log_offset, log_epoch;

/* The input queue, oldest first; 0: free. What is not acked stays. */
byte queue[QUEUE];

/* The publisher: the batch in doubt, and a copy on its way from a broken connection. */
byte next = 1;
byte stray;

/* Tenures. */
mtype = { MARKING, READY, APPENDING, CONFIRMED, DELIVERED };
typedef memory {
    mtype state = NONE; /* nobody's, or its owner is about to claim */
    byte term;
    byte lane, offset, epoch;           /* what the log has confirmed; epoch 0: no room yet */
    byte first, last, at, append_epoch; /* what is on its way there: batches, first offset */
};
memory tenure[TENURES];
byte owner; /* whose connection has the lock */

/* The gateway: what it has seen, its link (1 + tenure; 0: none) and what comes along it. */
mtype = { POSITION, RECORDS };
byte seen;
byte link;
bool has_hole; /* something was dropped: its number will be missed */
mtype mail = NONE;
byte mail_first, mail_last, mail_batch, mail_epoch;

byte i; /* 0 but within a step */

/* -- The input queue -- */

#define HAS_SPACE (queue[QUEUE - 1] == 0)

inline push(batch)
{
    i = 0;
    do
    :: queue[i] != 0 -> i++
    :: else -> break
    od;
    queue[i] = batch;
    i = 0
}

inline pop(count)
{
    i = 0;
    do
    :: i < QUEUE - count -> queue[i] = queue[i + count]; i++
    :: i >= QUEUE - count && i < QUEUE -> queue[i] = 0; i++
    :: i == QUEUE -> break
    od;
    i = 0
}

/* -- The mail to the gateway -- */

inline empty_mail()
{
    mail = NONE;
    mail_first = 0;
    mail_last = 0;
    mail_batch = 0;
    mail_epoch = 0
}

inline unlink()
{
    link = 0;
    has_hole = false;
    empty_mail()
}

/* -- A tenure -- */

#define me _pid
#define my tenure[me]
#define ME (me + 1) /* as links and epochs name it; 0: none */
#define COUNT (my.last - my.first + 1)
#define HAS_INPUT (IS_OWNER && my.state == READY && queue[0] != 0)
#define CAN_DELIVER (link != ME || mail == NONE)
#ifdef NO_LATE_SEND
#define CAN_APPEND CAN_DELIVER
#else
#define CAN_APPEND true
#endif

inline learn()
{
    my.lane = log_lane;
    my.offset = log_offset;
    my.epoch = log_epoch
}

inline forget_append()
{
    my.first = 0;
    my.last = 0;
    my.at = 0;
    my.append_epoch = 0
}

inline forget_log()
{
    my.lane = 0;
    my.offset = 0;
    my.epoch = 0
}

inline forget()
{
    my.state = NONE;
    my.term = 0;
    forget_log();
    forget_append()
}

inline append(count)
{
    printf("tenure %d appends %d batches from %d on\n", ME, count, queue[0]);
    my.first = queue[0];
    my.last = queue[0] + count - 1;
    my.at = my.offset + 1;
    my.append_epoch = (my.epoch -> my.epoch : ME);
    my.state = APPENDING;
#ifdef NO_LATE_ACK
    pop(count);
#endif
#ifdef NO_LATE_SEND
    deliver()
#endif
}

/* An append is in the log now. */
inline land_append()
{
    if
    :: IS_OF_TERM(my.term) && !IS_SEEN(my.last, log_lane) ->
        assert(my.first == my.at);           /* no batch twice or out of order */
        assert(my.at <= log_offset + 1);     /* no hole */
        assert(my.append_epoch == log_epoch || log_epoch == 0);
        log_lane = my.last;
        log_offset = my.at + COUNT - 1;
        log_epoch = my.append_epoch
    :: else /* void for every reader */
    fi
}

/* A marker is in the log now. Read back, it makes the owner. */
inline land_marker()
{
    if
    :: IS_OWNER && my.term > log_term ->
        log_term = my.term;
#ifndef NO_REPLAY
        learn();
#endif
        my.state = READY
    :: IS_OWNER && my.term <= log_term -> /* a late marker came first: give up, begin anew */
        forget()
    :: else ->
        log_term = (my.term > log_term -> my.term : log_term);
        forget()
    fi
}

inline deliver()
{
    if
    :: link == ME ->
        mail = RECORDS;
        mail_first = my.at;
        mail_last = my.at + COUNT - 1;
        mail_batch = my.first;
        mail_epoch = my.append_epoch
    :: else
    fi
}

inline confirmed()
{
#ifndef NO_LATE_SEND
    deliver();
#endif
    my.lane = my.last;
    my.offset = my.at + COUNT - 1;
    my.epoch = my.append_epoch;
    my.state = DELIVERED
}

active [TENURES] proctype broadcaster()
{
end:
    do
    :: d_step { IS_OWNER && my.state == NONE ->
        printf("tenure %d reads the term and sends its marker\n", ME);
        my.term = log_term + 1;
#ifdef NO_REPLAY
        learn();
#endif
        my.state = MARKING
       }
    :: d_step { my.state == MARKING ->
        printf("the marker of tenure %d lands\n", ME);
        land_marker()
       }
    :: d_step { HAS_INPUT && IS_SEEN(queue[0], my.lane) ->
        printf("tenure %d acks batch %d as a duplicate\n", ME, queue[0]);
        pop(1)
       }
    :: d_step { HAS_INPUT && !IS_SEEN(queue[0], my.lane) && CAN_APPEND -> append(1) }
    :: d_step {
        HAS_INPUT && !IS_SEEN(queue[0], my.lane) && CAN_APPEND && queue[1] == queue[0] + 1 ->
        append(2)
       }
    :: d_step { my.state == APPENDING ->
        printf("the append of tenure %d lands\n", ME);
        land_append();
        if
        :: CAN_SPEAK -> my.state = CONFIRMED
        :: else -> forget()
        fi
       }
    :: d_step { my.state == APPENDING && CAN_SPEAK ->
        printf("the append of tenure %d lands, is refused and sent again\n", ME);
        land_append()
       }
    :: d_step { my.state == CONFIRMED && CAN_DELIVER ->
        printf("tenure %d learns that its append is confirmed\n", ME);
        confirmed()
       }
    :: d_step { IS_OWNER && my.state == DELIVERED ->
        printf("tenure %d acks its input\n", ME);
#ifndef NO_LATE_ACK
        pop(COUNT);
#endif
        forget_append();
        my.state = READY
       }
    :: d_step { IS_OWNER && my.state != NONE && my.state != MARKING && link != ME ->
        printf("the gateway attaches to tenure %d\n", ME);
        unlink();
        link = ME;
        mail = POSITION;
        mail_last = my.offset;
        mail_epoch = my.epoch
       }
    :: d_step { IS_OWNER && me + 1 < TENURES ->
        printf("the connection of tenure %d is cut\n", ME);
        if
        :: my.state == MARKING || my.state == APPENDING -> forget_log() /* it is on its way */
        :: else -> forget()
        fi;
        owner++
       }
    :: d_step { !IS_OWNER && (my.state == MARKING || my.state == APPENDING) ->
        printf("what tenure %d sent to the log is lost\n", ME);
        forget()
       }
    od
}

/* -- The publisher -- */

active proctype publisher()
{
end:
    do
    :: d_step { next <= BATCHES && HAS_SPACE ->
        printf("batch %d is queued and answered\n", next);
        push(next);
        next++
       }
    :: d_step { next <= BATCHES && HAS_SPACE ->
        printf("batch %d is queued, the confirm is lost\n", next);
        push(next)
       }
    :: d_step { next <= BATCHES && stray == 0 ->
        printf("batch %d is sent along a connection that breaks\n", next);
        stray = next;
#ifdef NO_RESEND
        next++
#endif
       }
    :: d_step { stray != 0 && HAS_SPACE ->
        printf("batch %d arrives from the broken connection\n", stray);
        push(stray);
        stray = 0
       }
    :: d_step { stray != 0 ->
        printf("batch %d is lost with the broken connection\n", stray);
        stray = 0
       }
    od
}

/* -- The gateway that follows -- */

active proctype gateway()
{
end:
    do
    :: d_step { mail == POSITION ->
        printf("the gateway is given all up to %d\n", mail_last);
        assert(mail_last >= seen && mail_last <= log_offset);
        assert(mail_last == 0 || mail_epoch == log_epoch);
        seen = mail_last; /* with the records up to it */
        empty_mail()
       }
    :: d_step { mail == RECORDS && !MISSES_NUMBER ->
        printf("the gateway is given %d to %d\n", mail_first, mail_last);
        assert(mail_first == seen + 1);        /* each once, in order */
        assert(mail_last <= log_offset);       /* no phantom: the log has this offset, */
        assert(mail_batch == mail_first && mail_epoch == log_epoch); /* with this record */
        seen = mail_last;
        empty_mail()
       }
    :: d_step { mail != POSITION && MISSES_NUMBER -> /* the next delivery shows it, empty or not */
        printf("the gateway sees a hole in its link\n");
        unlink()
       }
    :: d_step { mail != NONE ->
        printf("a message to the gateway is dropped\n");
        has_hole = true;
        empty_mail()
       }
    od
}

/* -- Rest -- */

active proctype rest()
{
    timeout ->
    assert(next == BATCHES + 1 && log_lane == BATCHES && log_offset == BATCHES);
    assert(queue[0] == 0 && seen == BATCHES)
}
