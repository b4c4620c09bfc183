//! The device's controller, as `embassy-usb-driver` has it.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::task::Poll;

use embassy_usb_driver::{
    Bus, ControlPipe, Direction, EndpointAddress, EndpointAllocError, EndpointError, EndpointIn,
    EndpointInfo, EndpointOut, EndpointType, Event, Unsupported,
};

use crate::{Cable, Endpoint, Manner};

/// Bytes in a packet of endpoint 0.
const CONTROL_PACKET: usize = 64;

/// The controller before it is started.
pub struct Driver {
    cable: Cable,
    /// Of the endpoints that were given away, each way.
    next: [u8; 2],
}

impl Driver {
    pub(crate) const fn new(cable: Cable) -> Self {
        Self { cable, next: [1, 1] }
    }

    fn allocate<D>(
        &mut self,
        direction: Direction,
        ep_type: EndpointType,
        max_packet_size: u16,
        interval_ms: u8,
    ) -> Result<End<D>, EndpointAllocError> {
        let [out, r#in] = &mut self.next;
        let next = if direction == Direction::In { r#in } else { out };
        let addr = EndpointAddress::from_parts(usize::from(*next), direction);
        *next += 1;
        if *next > 15 {
            return Err(EndpointAllocError);
        }
        let info = EndpointInfo { addr, ep_type, max_packet_size, interval_ms };
        let endpoint = Endpoint { info: Some(info), ..Endpoint::default() };
        self.cable.0.borrow_mut().endpoints.insert(addr.into(), endpoint);
        Ok(End { cable: self.cable.clone(), info, way: PhantomData })
    }
}

impl<'a> embassy_usb_driver::Driver<'a> for Driver {
    type EndpointOut = Out;
    type EndpointIn = In;
    type ControlPipe = ControlSide;
    type Bus = BusSide;

    fn alloc_endpoint_out(
        &mut self,
        ep_type: EndpointType,
        _: Option<EndpointAddress>,
        max_packet_size: u16,
        interval_ms: u8,
    ) -> Result<Out, EndpointAllocError> {
        self.allocate(Direction::Out, ep_type, max_packet_size, interval_ms)
    }

    fn alloc_endpoint_in(
        &mut self,
        ep_type: EndpointType,
        _: Option<EndpointAddress>,
        max_packet_size: u16,
        interval_ms: u8,
    ) -> Result<In, EndpointAllocError> {
        self.allocate(Direction::In, ep_type, max_packet_size, interval_ms)
    }

    fn start(self, _: u16) -> (BusSide, ControlSide) {
        (BusSide(self.cable.clone()), ControlSide(self.cable))
    }
}

/// The bus, as the device sees it.
pub struct BusSide(Cable);

impl Bus for BusSide {
    async fn enable(&mut self) {}

    async fn disable(&mut self) {}

    async fn poll(&mut self) -> Event {
        poll_fn(|context| {
            let mut inner = self.0.0.borrow_mut();
            inner.bus = Some(context.waker().clone());
            inner.events.pop_front().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    fn endpoint_set_enabled(&mut self, addr: EndpointAddress, enabled: bool) {
        let mut inner = self.0.0.borrow_mut();
        let endpoint = inner.endpoints.entry(addr.into()).or_default();
        endpoint.enabled = enabled;
        endpoint.was_enabled |= enabled;
        // Its buffer is given back.
        endpoint.packet = None;
        endpoint.wake();
    }

    fn endpoint_set_stalled(&mut self, _: EndpointAddress, _: bool) {}

    fn endpoint_is_stalled(&mut self, _: EndpointAddress) -> bool {
        false
    }

    async fn remote_wakeup(&mut self) -> Result<(), Unsupported> {
        Err(Unsupported)
    }
}

/// Endpoint 0.
pub struct ControlSide(Cable);

impl ControlSide {
    fn end(&self, accepted: bool) {
        let control = &mut self.0.0.borrow_mut().control;
        control.ended = Some(accepted);
        if let Some(host) = control.host.take() {
            host.wake();
        }
    }
}

impl ControlPipe for ControlSide {
    fn max_packet_size(&self) -> usize {
        CONTROL_PACKET
    }

    async fn setup(&mut self) -> [u8; 8] {
        poll_fn(|context| {
            let control = &mut self.0.0.borrow_mut().control;
            control.device = Some(context.waker().clone());
            control.setup.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    async fn data_out(&mut self, buf: &mut [u8], _: bool, _: bool) -> Result<usize, EndpointError> {
        let control = &mut self.0.0.borrow_mut().control;
        let len = buf.len().min(control.out.len()).min(CONTROL_PACKET);
        buf.iter_mut().zip(control.out.drain(..len)).for_each(|(to, byte)| *to = byte);
        Ok(len)
    }

    async fn data_in(&mut self, data: &[u8], _: bool, last: bool) -> Result<(), EndpointError> {
        self.0.0.borrow_mut().control.answer.extend(data);
        if last {
            self.end(true);
        }
        Ok(())
    }

    async fn accept(&mut self) {
        self.end(true);
    }

    async fn reject(&mut self) {
        self.end(false);
    }

    async fn accept_set_address(&mut self, addr: u8) {
        self.end(true);
        self.0.0.borrow_mut().address = addr;
    }
}

/// One end of an endpoint, in the direction `D`.
pub struct End<D> {
    cable: Cable,
    info: EndpointInfo,
    way: PhantomData<D>,
}

/// To the host.
pub enum ToHost {}
/// From the host.
pub enum FromHost {}

/// An endpoint on which the device sends.
pub type In = End<ToHost>;
/// An endpoint on which the device receives.
pub type Out = End<FromHost>;

impl<D> End<D> {
    /// Waits until `ready` gives something for the endpoint.
    async fn when<T>(&mut self, mut ready: impl FnMut(&mut Endpoint, Manner) -> Option<T>) -> T {
        poll_fn(|context| {
            let mut inner = self.cable.0.borrow_mut();
            let manner = inner.manner;
            let endpoint = inner.endpoints.entry(self.info.addr.into()).or_default();
            if let Some(result) = ready(endpoint, manner) {
                return Poll::Ready(result);
            }
            endpoint.device = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl<D> embassy_usb_driver::Endpoint for End<D> {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn wait_enabled(&mut self) {
        self.when(|endpoint, _| endpoint.enabled.then_some(())).await;
    }
}

impl EndpointOut for Out {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, EndpointError> {
        self.when(|endpoint, manner| {
            if !endpoint.enabled {
                return match manner {
                    Manner::AsDocumented => Some(Err(EndpointError::Disabled)),
                    Manner::AsRp => (!endpoint.was_enabled).then_some(Ok(0)),
                };
            }
            let packet = endpoint.packet.take()?;
            endpoint.wake();
            let Some(to) = buf.get_mut(..packet.len()) else {
                return Some(Err(EndpointError::BufferOverflow));
            };
            to.copy_from_slice(&packet);
            Some(Ok(packet.len()))
        })
        .await
    }
}

impl EndpointIn for In {
    async fn write(&mut self, buf: &[u8]) -> Result<(), EndpointError> {
        if buf.len() > usize::from(self.info.max_packet_size) {
            return Err(EndpointError::BufferOverflow);
        }
        self.when(|endpoint, manner| {
            if !endpoint.enabled {
                return (manner == Manner::AsDocumented).then_some(Err(EndpointError::Disabled));
            }
            if endpoint.packet.is_some() {
                return None;
            }
            endpoint.packet = Some(buf.to_vec());
            endpoint.wake();
            Some(Ok(()))
        })
        .await
    }
}
