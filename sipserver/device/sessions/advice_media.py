"""Advice on plays whose answer or whose media was bad, or that ended while running."""

from __future__ import annotations

from typing import Final

from sipserver.device.sessions.advice import Advice, Fault, Text, VerdictCode

MEDIA_ADVICE: Final[dict[VerdictCode, Advice]] = {
    VerdictCode.BAD_ANSWER: Advice(
        Fault.DEVICE,
        Text(
            "The device's answer carries no usable SDP: {facts.detail}.",
            "设备应答中没有可用的 SDP：{facts.detail}。",
        ),
        Text(
            "Keep a capture of this call and update the device's firmware.",
            "保存本次呼叫的抓包，并升级设备固件。",
        ),
    ),
    VerdictCode.PORT_REFUSED: Advice(
        Fault.DEVICE,
        Text(
            "The device answered 200 but refused the media (port 0).",
            "设备应答 200，但拒绝了媒体（端口为 0）。",
        ),
        Text(
            "Try another media transport (now {facts.transport}) or stream; the channel may have "
            "no signal.",
            "更换媒体传输方式（当前 {facts.transport}）或码流；该通道也可能没有视频信号。",
        ),
    ),
    VerdictCode.PRIVATE_STREAM: Advice(
        Fault.DEVICE,
        Text(
            "The device sends its vendor's private stream ({facts.encoding}), not a standard one.",
            "设备发送的是厂商私有码流（{facts.encoding}），不符合标准。",
        ),
        Text(
            "Set the device's GB/T 28181 stream to PS with H.264 or H.265.",
            "在设备的 GB/T 28181 设置中将码流改为 PS 封装的 H.264 或 H.265。",
        ),
    ),
    VerdictCode.DEVICE_BYE_AT_ONCE: Advice(
        Fault.DEVICE,
        Text(
            "The device hung up before it sent any media.",
            "设备在发送任何媒体之前就挂断了。",
        ),
        Text(
            "Check that the media address and ports of the platform are reachable from the "
            "device; try another media transport (now {facts.transport}).",
            "检查设备能否到达平台的媒体地址和端口；更换媒体传输方式（当前 {facts.transport}）。",
        ),
    ),
    VerdictCode.DEVICE_BYE_BEFORE_PICTURE: Advice(
        Fault.DEVICE,
        Text(
            "The device hung up after the first packets, before a picture.",
            "设备发送少量数据后、出图之前挂断了。",
        ),
        Text(
            "Look at the device's load and its encoder settings; try the sub-stream.",
            "查看设备负载和编码设置，或改用子码流。",
        ),
    ),
    VerdictCode.DEVICE_ENDED: Advice(
        Fault.DEVICE,
        Text("The device ended the running stream.", "设备结束了正在播放的码流。"),
        Text(
            "Play again; if it repeats, look whether the device restarts or another platform "
            "takes the stream.",
            "重新播放；若反复出现，检查设备是否重启，或码流被其他平台抢占。",
        ),
    ),
    VerdictCode.DEVICE_WENT_OFFLINE: Advice(
        Fault.NETWORK,
        Text(
            "The device went offline during the play: {facts.detail}.",
            "播放过程中设备离线：{facts.detail}。",
        ),
        Text(
            "Check the device's power and network; the play can start once it is registered again.",
            "检查设备供电和网络；设备重新注册后即可播放。",
        ),
    ),
    VerdictCode.DIALOG_LOST: Advice(
        Fault.NETWORK,
        Text(
            "The signalling of the call was lost: {facts.detail}.", "呼叫信令中断：{facts.detail}。"
        ),
        Text("Play again.", "请重新播放。"),
    ),
    VerdictCode.CONNECT_REFUSED: Advice(
        Fault.NETWORK,
        Text(
            "The platform could not open the media connection to the device: {facts.detail}.",
            "平台无法向设备建立媒体连接：{facts.detail}。",
        ),
        Text(
            "A device behind NAT cannot be connected to: choose TCP-passive or UDP for it.",
            "NAT 后的设备无法被动接受连接：请为其选择 TCP 被动或 UDP。",
        ),
    ),
    VerdictCode.CONNECT_UNANSWERED: Advice(
        Fault.NETWORK,
        Text(
            "The platform tried for {facts.waited:g} s to open the media connection to the "
            "device; nothing answered.",
            "平台在 {facts.waited:g} 秒内尝试向设备建立媒体连接，没有任何应答。",
        ),
        Text(
            "Let the firewall pass TCP from the platform to the device's media port; a device "
            "behind NAT cannot be connected to: choose TCP-passive or UDP for it.",
            "在防火墙中放行平台到设备媒体端口的 TCP；NAT 后的设备无法被动接受连接，"
            "请为其选择 TCP 被动或 UDP。",
        ),
    ),
    VerdictCode.DEVICE_DID_NOT_CONNECT: Advice(
        Fault.NETWORK,
        Text(
            "The device answered but did not open the media connection within {facts.waited:g} s.",
            "设备已应答，但 {facts.waited:g} 秒内没有建立媒体连接。",
        ),
        Text(
            "Open TCP port {facts.media_port} of the platform for the device, "
            "or choose UDP for it.",
            "向设备放行平台的 TCP 端口 {facts.media_port}，或为其选择 UDP。",
        ),
    ),
    VerdictCode.CONNECTED_BUT_SILENT: Advice(
        Fault.DEVICE,
        Text(
            "The media connection stands, but no packet came within {facts.waited:g} s.",
            "媒体连接已建立，但 {facts.waited:g} 秒内没有收到数据。",
        ),
        Text(
            "Check the channel's video signal and encoder on the device.",
            "在设备上检查该通道的视频信号和编码器。",
        ),
    ),
    VerdictCode.CONNECTION_CLOSED: Advice(
        Fault.DEVICE,
        Text("The device closed the media connection.", "设备关闭了媒体连接。"),
        Text(
            "Play again; if it repeats, look at the network and at the device's load.",
            "重新播放；若反复出现，检查网络和设备负载。",
        ),
    ),
    VerdictCode.NO_PACKET_UDP: Advice(
        Fault.NETWORK,
        Text(
            "The device answered, but no media packet came within {facts.waited:g} s.",
            "设备已应答，但 {facts.waited:g} 秒内没有收到任何媒体包。",
        ),
        Text(
            "Open UDP port {facts.media_port} of the platform, check that the media address "
            "given to the device is reachable from it, or choose TCP-passive.",
            "放行平台的 UDP 端口 {facts.media_port}，"
            "确认下发给设备的媒体地址可达，或改用 TCP 被动。",
        ),
    ),
    VerdictCode.WRONG_SSRC: Advice(
        Fault.DEVICE,
        Text(
            "Packets came from elsewhere or with another SSRC than agreed "
            "({facts.stray_packets} dropped).",
            "收到的媒体包来源或 SSRC 与协商不符（已丢弃 {facts.stray_packets} 个）。",
        ),
        Text(
            "Look which machine sends to port {facts.media_port}; restart the device if it still "
            "sends an earlier picture.",
            "查看是哪台机器在向端口 {facts.media_port} 发送；"
            "若设备仍在发送先前的画面，请重启设备。",
        ),
    ),
    VerdictCode.NO_PS: Advice(
        Fault.DEVICE,
        Text(
            "Packets arrive, but no PS or known stream was found in them.",
            "收到了媒体包，但其中没有识别到 PS 或已知格式的码流。",
        ),
        Text(
            "Set the device's stream to PS; turn off vendor encapsulation or encryption.",
            "将设备码流设为 PS 封装，关闭厂商私有封装或加密。",
        ),
    ),
    VerdictCode.NO_PARAMETER_SETS: Advice(
        Fault.DEVICE,
        Text(
            "The stream carries no SPS/PPS, so no decoder can start.",
            "码流中没有 SPS/PPS，解码器无法启动。",
        ),
        Text(
            "Set the video coding to plain H.264 or H.265 (no SVAC, no smart coding).",
            "将视频编码设为普通 H.264 或 H.265（不使用 SVAC，关闭智能编码）。",
        ),
    ),
    VerdictCode.NO_KEY_FRAME: Advice(
        Fault.DEVICE,
        Text(
            "No key frame came within {facts.waited:g} s, although it was asked for.",
            "{facts.waited:g} 秒内没有收到关键帧（已请求强制关键帧）。",
        ),
        Text(
            "Shorten the I-frame interval on the device (2 s is usual); turn smart coding off.",
            "在设备上缩短 I 帧间隔（通常 2 秒），并关闭智能编码。",
        ),
    ),
    VerdictCode.ENCRYPTED: Advice(
        Fault.DEVICE,
        Text("The stream is encrypted by the vendor.", "码流被厂商加密。"),
        Text(
            "Turn stream encryption off on the device.",
            "在设备上关闭“码流加密”。",
        ),
    ),
    VerdictCode.MEDIA_LOST: Advice(
        Fault.NETWORK,
        Text(
            "The running stream fell silent for {facts.waited:g} s.",
            "正在播放的码流中断超过 {facts.waited:g} 秒。",
        ),
        Text(
            "Check the network to the device; play again.",
            "检查到设备的网络后重新播放。",
        ),
    ),
    VerdictCode.INTERNAL: Advice(
        Fault.PLATFORM,
        Text("The platform failed: {facts.detail}.", "平台内部错误：{facts.detail}。"),
        Text(
            "Please report this with the platform's log.",
            "请连同平台日志一起反馈。",
        ),
    ),
}
