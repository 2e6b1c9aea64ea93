"""What the API answers when it cannot do what was asked, and the one map from errors to it.

* :exc:`ApiError` -- raised by routes; becomes an :class:`ErrorView`

Errors of the services below are not caught by the routes: :func:`problem_of` finds their answer in
the table of :mod:`api.domain_errors`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of failure as a client sees it."""

    status: int
    code: str
    message: str
    message_zh: str
    next_step: str
    next_step_zh: str


class ErrorView(msgspec.Struct, frozen=True):
    """The body of every answer with a status of 400 or more."""

    code: str
    """What went wrong, for programs; stable."""
    message: str
    """What went wrong, in words."""
    message_zh: str
    """出了什么问题。"""
    next_step: str
    """What the reader can do about it."""
    next_step_zh: str
    """建议的下一步。"""
    detail: str = ""
    """What exactly, when the general words do not say it: a field, a device, an answer."""


class ApiError(Exception):
    """A failure with its answer."""

    def __init__(
        self, problem: Problem, detail: str = "", *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{problem.code}: {detail or problem.message}")
        self.problem = problem
        self.detail = detail
        self.headers = dict(headers or {})

    def view(self) -> ErrorView:
        return error_view(self.problem, self.detail)


def error_view(problem: Problem, detail: str = "") -> ErrorView:
    return ErrorView(
        code=problem.code,
        message=problem.message,
        message_zh=problem.message_zh,
        next_step=problem.next_step,
        next_step_zh=problem.next_step_zh,
        detail=detail,
    )


def problem_of(error: BaseException, table: Mapping[type[Exception], Problem]) -> Problem | None:
    """The entry for the nearest class of ``error``, or ``None`` when there is none."""
    for kind in type(error).__mro__:
        if kind in table:
            return table[kind]
    return None


INVALID_REQUEST = Problem(
    400,
    "invalid_request",
    "The request is not valid.",
    "请求无效。",
    "Correct the part named in detail and send it again.",
    "请修改 detail 指出的部分后重新发送。",
)
NOT_LOGGED_IN = Problem(
    401,
    "not_logged_in",
    "This needs a login.",
    "需要登录。",
    "Log in with POST /api/v1/login and send the cookie or the bearer token.",
    "请先通过 POST /api/v1/login 登录，并携带 Cookie 或 Bearer 令牌。",
)
WRONG_CREDENTIALS = Problem(
    401,
    "wrong_credentials",
    "The name or the password is wrong.",
    "用户名或密码错误。",
    "Check both. The first password stands in the file initial-password.txt of the data"
    " directory; `gb28181 password reset` makes a new one.",
    "请检查用户名和密码。初始密码在数据目录的 initial-password.txt 中；"
    "也可以用 `gb28181 password reset` 重新生成。",
)
FOREIGN_ORIGIN = Problem(
    403,
    "foreign_origin",
    "The request comes from a page of another site.",
    "请求来自其他站点的页面。",
    "Use the console at its own address, or a bearer token instead of the cookie.",
    "请使用控制台自身的地址访问，或改用 Bearer 令牌。",
)
NOT_FOUND = Problem(
    404,
    "not_found",
    "There is nothing at this address.",
    "该地址不存在。",
    "See /api/docs for the addresses of the API.",
    "接口地址请见 /api/docs。",
)
UNKNOWN_DEVICE = Problem(
    404,
    "unknown_device",
    "There is no device with this ID.",
    "没有该编码的设备。",
    "Check the 20 digits, or create the device first.",
    "请检查 20 位编码，或先添加该设备。",
)
UNKNOWN_CHANNEL = Problem(
    404,
    "unknown_channel",
    "The device has no channel with this ID.",
    "设备没有该编码的通道。",
    "Synchronise the catalogue of the device and look at its channels.",
    "请同步该设备的目录后再查看通道。",
)
UNKNOWN_SESSION = Problem(
    404,
    "unknown_session",
    "There is no session with this ID; perhaps it has ended and its history has been cleared.",
    "没有该会话，可能已结束且历史已清除。",
    "List the sessions with GET /api/v1/sessions.",
    "请用 GET /api/v1/sessions 查看会话列表。",
)
METHOD_NOT_ALLOWED = Problem(
    405,
    "method_not_allowed",
    "This address does not take this method.",
    "该地址不支持此方法。",
    "See the Allow header.",
    "请见 Allow 头。",
)
ALREADY_EXISTS = Problem(
    409,
    "already_exists",
    "There is a device with this ID already.",
    "该编码的设备已存在。",
    "Change the existing one, or choose another ID.",
    "请修改已有设备，或换用其他编码。",
)
TOO_LARGE = Problem(
    413,
    "too_large",
    "The body of the request is too large.",
    "请求体过大。",
    "Send at most 1 MiB.",
    "请求体不要超过 1 MiB。",
)
TOO_MANY_ATTEMPTS = Problem(
    429,
    "too_many_attempts",
    "Too many failed attempts.",
    "失败次数过多。",
    "Wait the seconds named in Retry-After.",
    "请等待 Retry-After 指出的秒数。",
)
TOO_MANY_LISTENERS = Problem(
    503,
    "too_many_listeners",
    "Too many clients listen to the events.",
    "事件订阅者过多。",
    "Close other console windows, or raise [http] event_clients.",
    "请关闭其他控制台窗口，或调大 [http] event_clients。",
)
DEVICE_OFFLINE = Problem(
    409,
    "device_offline",
    "The device is offline.",
    "设备不在线。",
    "Check its power and network; it must register before it can be asked anything.",
    "请检查设备的电源和网络；设备注册后才能操作。",
)
DEVICE_SILENT = Problem(
    504,
    "device_silent",
    "The device did not answer in time.",
    "设备未在规定时间内应答。",
    "Try again; if it stays silent, look at its presence history and the network.",
    "请重试；若仍无应答，请查看上下线记录和网络。",
)
DEVICE_REFUSED = Problem(
    502,
    "device_refused",
    "The device refused.",
    "设备拒绝了请求。",
    "The answer stands in detail; the stages of the session tell how far it came.",
    "设备的应答见 detail；会话的各阶段记录可看出进行到哪一步。",
)
DEVICE_UNREACHABLE = Problem(
    502,
    "device_unreachable",
    "The device cannot be reached.",
    "无法连接设备。",
    "Check the network between server and device, and its firewall.",
    "请检查服务器与设备之间的网络和防火墙。",
)
DEVICE_MALFORMED = Problem(
    502,
    "device_malformed",
    "The device answered with something that cannot be read.",
    "设备的应答无法解析。",
    "Note its model and firmware and report the answer named in detail.",
    "请记录设备型号和固件版本，并反馈 detail 中的应答。",
)
PLAY_FAILED = Problem(
    502,
    "play_failed",
    "The play failed; code, message and next step are those of its verdict, and the status is 404"
    " (unknown channel), 409 (request, or the device is offline), 502 (device), 503 (platform) or"
    " 504 (network).",
    "点播失败；code、message 与 next_step 即为结论，状态码为 404（未知通道）、"
    "409（请求有误或设备离线）、502（设备）、503（平台）或 504（网络）。",
    "See next_step, and the stages of the session.",
    "请见 next_step 以及会话的各阶段。",
)
PLAY_STOPPED = Problem(
    409,
    "play_stopped",
    "The session was stopped before there was a picture.",
    "会话在出图之前被停止。",
    "Play again.",
    "请重新点播。",
)
NO_RESOURCES = Problem(
    503,
    "no_resources",
    "The server has no port or SSRC left for another session.",
    "服务器没有可用的端口或 SSRC。",
    "Stop sessions nobody watches, or widen the port range in the configuration.",
    "请停止无人观看的会话，或在配置中扩大端口范围。",
)
OVERLOADED = Problem(
    503,
    "overloaded",
    "Too much is waiting already.",
    "等待处理的任务过多。",
    "Try again in a few seconds.",
    "请几秒后重试。",
)
STORAGE_FAILED = Problem(
    503,
    "storage_failed",
    "The database did not take the change.",
    "数据库未能保存更改。",
    "See /api/v1/health/ready and the log; check free disk space.",
    "请查看 /api/v1/health/ready 和日志，并检查磁盘空间。",
)
SHUTTING_DOWN = Problem(
    503,
    "shutting_down",
    "The platform stops.",
    "平台正在停止。",
    "Wait until it has started again.",
    "请等待平台重新启动。",
)
NOT_READY = Problem(
    503,
    "not_ready",
    "The server is not ready.",
    "服务器尚未就绪。",
    "The reasons stand in detail.",
    "原因见 detail。",
)
SERVER_FAULT = Problem(
    500,
    "server_fault",
    "The server failed; this is a fault of ours.",
    "服务器内部错误。",
    "See the log of the server under the request ID named in detail.",
    "请根据 detail 中的请求编号查看服务器日志。",
)
