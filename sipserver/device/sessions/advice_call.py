"""Advice on plays that failed before there was an answer: the platform, the call, its refusal."""

from __future__ import annotations

from typing import Final

from sipserver.device.sessions.advice import Advice, Fault, Text, VerdictCode

CALL_ADVICE: Final[dict[VerdictCode, Advice]] = {
    VerdictCode.DEVICE_OFFLINE: Advice(
        Fault.DEVICE,
        Text("The device is not registered.", "设备未注册（离线）。"),
        Text(
            "Check the device's power, its network and the platform address entered in it; "
            "then look at its last registration.",
            "检查设备供电、网络以及设备上填写的平台地址，再查看其最近一次注册记录。",
        ),
    ),
    VerdictCode.UNKNOWN_CHANNEL: Advice(
        Fault.REQUEST,
        Text("There is no such channel.", "没有这个通道。"),
        Text(
            "Synchronise the device's catalogue and choose the channel again.",
            "重新同步该设备的目录后再选择通道。",
        ),
    ),
    VerdictCode.DEVICE_LIMIT: Advice(
        Fault.REQUEST,
        Text(
            "The device already carries its {facts.session_limit} allowed sessions.",
            "该设备的并发会话已达上限（{facts.session_limit} 路）。",
        ),
        Text(
            "Stop another picture of this device, or raise its session limit.",
            "停止该设备的其他画面，或提高其会话上限。",
        ),
    ),
    VerdictCode.SESSION_LIMIT: Advice(
        Fault.PLATFORM,
        Text(
            "The platform already carries its {facts.session_limit} allowed sessions.",
            "平台的并发会话已达上限（{facts.session_limit} 路）。",
        ),
        Text(
            "Stop pictures that nobody needs, or raise the platform's session limit.",
            "停止不需要的画面，或提高平台的会话上限。",
        ),
    ),
    VerdictCode.OVERLOADED: Advice(
        Fault.PLATFORM,
        Text("The platform has too many calls open at once.", "平台同时进行的呼叫过多。"),
        Text(
            "Try again in a moment; look for devices that do not answer.",
            "稍后重试，并检查是否有大量设备无应答。",
        ),
    ),
    VerdictCode.NO_SSRC: Advice(
        Fault.PLATFORM,
        Text("Every SSRC of this domain is in use.", "本域的 SSRC 已全部占用。"),
        Text(
            "Stop pictures that nobody needs, or give the platform a second domain.",
            "停止不需要的画面，或为平台再配置一个域编码。",
        ),
    ),
    VerdictCode.NO_PORT: Advice(
        Fault.PLATFORM,
        Text("Every media port is in use.", "媒体端口已全部占用。"),
        Text(
            "Widen the media port range, in the firewall too.",
            "扩大媒体端口范围，并在防火墙中同步放行。",
        ),
    ),
    VerdictCode.RECEIVER_FAILED: Advice(
        Fault.PLATFORM,
        Text(
            "The media node could not open a receiver: {facts.detail}.",
            "媒体节点无法打开接收端口：{facts.detail}。",
        ),
        Text(
            "Look whether another program uses the media port range, and at the node's health.",
            "检查媒体端口范围是否被其他程序占用，并查看媒体节点的运行状态。",
        ),
    ),
    VerdictCode.SIP_UNREACHABLE: Advice(
        Fault.NETWORK,
        Text(
            "The INVITE could not be sent to the device: {facts.detail}.",
            "INVITE 无法发送到设备：{facts.detail}。",
        ),
        Text(
            "Wait for the device to register again; over TCP its connection is gone.",
            "等待设备重新注册；若使用 TCP，信令连接已断开。",
        ),
    ),
    VerdictCode.NO_ANSWER: Advice(
        Fault.NETWORK,
        Text(
            "The device did not answer the INVITE at all within {facts.waited:g} s.",
            "设备在 {facts.waited:g} 秒内对 INVITE 没有任何应答。",
        ),
        Text(
            "Check that packets from the platform's signalling port reach the device "
            "(NAT, firewall); a device behind NAT should register over TCP.",
            "检查平台信令端口发出的报文能否到达设备（NAT、防火墙）；NAT 后的设备建议用 TCP 注册。",
        ),
    ),
    VerdictCode.NO_FINAL_ANSWER: Advice(
        Fault.DEVICE,
        Text(
            "The device acknowledged the INVITE but never answered within {facts.waited:g} s.",
            "设备收到了 INVITE，但 {facts.waited:g} 秒内没有给出最终应答。",
        ),
        Text(
            "Restart the device, or ask the lower platform why it does not start the channel.",
            "重启设备，或询问下级平台该通道为何未能启动。",
        ),
    ),
    VerdictCode.BAD_REQUEST: Advice(
        Fault.DEVICE,
        Text(
            "The device calls our INVITE malformed ({facts.sip_status} {facts.sip_reason}).",
            "设备认为 INVITE 格式错误（{facts.sip_status} {facts.sip_reason}）。",
        ),
        Text(
            "Try another SDP profile or edition for this device; check its channel code types.",
            "为该设备更换 SDP 模板或协议版本，并检查其通道编码的类型位。",
        ),
    ),
    VerdictCode.FORBIDDEN: Advice(
        Fault.DEVICE,
        Text(
            "The device does not permit this play ({facts.sip_status} {facts.sip_reason}).",
            "设备不允许点播（{facts.sip_status} {facts.sip_reason}）。",
        ),
        Text(
            "Check on the device which platform may watch this channel.",
            "在设备或下级平台上检查该通道对本平台的授权。",
        ),
    ),
    VerdictCode.CHANNEL_NOT_FOUND: Advice(
        Fault.DEVICE,
        Text(
            "The device does not know this channel ({facts.sip_status} {facts.sip_reason}).",
            "设备不认识该通道（{facts.sip_status} {facts.sip_reason}）。",
        ),
        Text(
            "Synchronise the catalogue; the channel's code was probably changed on the device.",
            "重新同步目录；设备上的通道编码可能已经修改。",
        ),
    ),
    VerdictCode.LOWER_SIDE_SILENT: Advice(
        Fault.DEVICE,
        Text(
            "The lower platform got no answer from its camera ({facts.sip_status}).",
            "下级平台没有得到摄像机的应答（{facts.sip_status}）。",
        ),
        Text("Check the camera behind the lower platform.", "检查下级平台所接的摄像机。"),
    ),
    VerdictCode.UNSUPPORTED: Advice(
        Fault.DEVICE,
        Text(
            "The device does not support the offered body or transport "
            "({facts.sip_status} {facts.sip_reason}).",
            "设备不支持所提供的内容或传输方式（{facts.sip_status} {facts.sip_reason}）。",
        ),
        Text(
            "Try another media transport (now {facts.transport}) or SDP profile for this device.",
            "为该设备更换媒体传输方式（当前 {facts.transport}）或 SDP 模板。",
        ),
    ),
    VerdictCode.CHANNEL_OFFLINE: Advice(
        Fault.DEVICE,
        Text(
            "The device says that the channel is not available (480).",
            "设备答复该通道当前不可用（480）。",
        ),
        Text(
            "Check the camera on this channel of the recorder: power, cable, password.",
            "检查录像机上该通道的摄像机：供电、网线、密码。",
        ),
    ),
    VerdictCode.DEVICE_BUSY: Advice(
        Fault.DEVICE,
        Text(
            "The device can take no further session ({facts.sip_status}).",
            "设备无法再接受新的会话（{facts.sip_status}）。",
        ),
        Text(
            "Stop another picture of this device, also on other platforms; then set its session "
            "limit here.",
            "停止该设备的其他画面（包括其他平台上的），并在本平台设置其会话上限。",
        ),
    ),
    VerdictCode.DEVICE_CANCELLED: Advice(
        Fault.DEVICE,
        Text("The device gave the call up (487).", "设备中止了呼叫（487）。"),
        Text(
            "Check the code types: a recorder should have type 118, a channel 131 or 132.",
            "检查编码类型：录像机应为 118，通道应为 131 或 132。",
        ),
    ),
    VerdictCode.OFFER_REFUSED: Advice(
        Fault.DEVICE,
        Text(
            "The device cannot satisfy the offer ({facts.sip_status} {facts.sip_reason}).",
            "设备无法满足媒体请求（{facts.sip_status} {facts.sip_reason}）。",
        ),
        Text(
            "Try another media transport (now {facts.transport}), stream or SDP profile.",
            "更换媒体传输方式（当前 {facts.transport}）、码流或 SDP 模板后重试。",
        ),
    ),
    VerdictCode.DEVICE_OVERLOADED: Advice(
        Fault.DEVICE,
        Text(
            "The device is overloaded or has no media server (503).",
            "设备过载，或下级平台没有可用的媒体服务（503）。",
        ),
        Text("Try again later; look at the device's load.", "稍后重试，并查看设备负载。"),
    ),
    VerdictCode.DEVICE_ERROR: Advice(
        Fault.DEVICE,
        Text(
            "The device failed by itself ({facts.sip_status} {facts.sip_reason}).",
            "设备内部错误（{facts.sip_status} {facts.sip_reason}）。",
        ),
        Text("Restart the device; update its firmware.", "重启设备，或升级其固件。"),
    ),
    VerdictCode.REDIRECTED: Advice(
        Fault.DEVICE,
        Text(
            "The device redirects the call elsewhere ({facts.sip_status}).",
            "设备将呼叫重定向到别处（{facts.sip_status}）。",
        ),
        Text(
            "Point the lower platform's channel at this platform directly.",
            "请让下级平台直接向本平台提供该通道。",
        ),
    ),
    VerdictCode.REFUSED: Advice(
        Fault.DEVICE,
        Text(
            "The device refused the call ({facts.sip_status} {facts.sip_reason}).",
            "设备拒绝了呼叫（{facts.sip_status} {facts.sip_reason}）。",
        ),
        Text("Look into the device's own log.", "查看设备自身的日志。"),
    ),
}
