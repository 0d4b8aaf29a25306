//! Records in batches from the queue of a consumer, which rdkafka does not give out.

use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::time::Duration;

use anyhow::{Result, bail};
use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;

/// Records a call, at most.
const BATCH: usize = 1_000;

/// The queue of a consumer that has its partitions. Further rebalances are not answered.
pub struct NativeBatches<'c> {
    queue: NonNull<sys::rd_kafka_queue_t>,
    room: Vec<*mut sys::rd_kafka_message_t>,
    /// Which must live as long.
    consumer: PhantomData<&'c ()>,
}

impl<'c> NativeBatches<'c> {
    /// `None` when the consumer has no group.
    pub fn of<C: ConsumerContext>(consumer: &'c BaseConsumer<C>) -> Option<Self> {
        // SAFETY: the client is alive as long as `consumer`, which we borrow; the reference to its queue is given back in `drop`.
        let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        Some(Self { queue: NonNull::new(queue)?, room: vec![ptr::null_mut(); BATCH], consumer: PhantomData })
    }

    /// How many records came, at most `limit`, and how many bytes of payload they have. A call ends when its batch is full or `wait` is over,
    /// so a larger `limit` than what is left to read would make the last one wait.
    ///
    /// # Errors
    /// What the client says in the place of a record.
    pub fn take(&mut self, wait: Duration, limit: usize) -> Result<(usize, usize)> {
        let (millis, size) = (i32::try_from(wait.as_millis())?, limit.min(BATCH));
        // SAFETY: the queue is alive, and `room` has place for `size` pointers.
        let taken =
            unsafe { sys::rd_kafka_consume_batch_queue(self.queue.as_ptr(), millis, self.room.as_mut_ptr(), size) };
        let (mut bytes, mut failure) = (0, None);
        for message in self.room.iter().take(usize::try_from(taken)?) {
            // SAFETY: the call has put as many messages there as it says. They are ours, and not used after this.
            unsafe {
                bytes += (**message).len;
                failure = failure.or(Some((**message).err).filter(|error| *error != NO_ERROR));
                sys::rd_kafka_message_destroy(*message);
            }
        }
        match failure {
            Some(error) => bail!("{}", RDKafkaErrorCode::from(error)),
            None => Ok((usize::try_from(taken)?, bytes)),
        }
    }
}

const NO_ERROR: sys::rd_kafka_resp_err_t = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;

impl Drop for NativeBatches<'_> {
    fn drop(&mut self) {
        // SAFETY: got in `of`, and not used after this.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}
