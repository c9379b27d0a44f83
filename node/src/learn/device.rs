//! Where tensors are computed: on the processor, unless the program was built for a graphics card (features `cuda` and `wgpu`).
//! That the same seed gives the same bits is promised on the processor only.

use burn::tensor::Device;

/// The first card of NVIDIA's.
#[cfg(feature = "cuda")]
pub(super) fn device() -> Device {
    Device::cuda(burn::tensor::DeviceIndex::Default)
}

/// The card that the system prefers, by Vulkan, Metal or DirectX.
#[cfg(all(feature = "wgpu", not(feature = "cuda")))]
pub(super) fn device() -> Device {
    Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)
}

/// The processor.
#[cfg(not(any(feature = "cuda", feature = "wgpu")))]
pub(super) fn device() -> Device {
    Device::flex()
}
